"""A real Spark standalone cluster on loopback: a master, worker daemons, executors in JVMs of their own.

    Cluster ── starts ──▶ master
       └────── starts ──▶ daemon 0, daemon 1, ...      one executor each
                             └── executor's JVM ──▶ pyspark's daemon ──▶ its workers, and all of ours

A daemon starts another executor by itself when its own has ended. Tests and benchmarks share this file.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import psutil
import pyspark

from sparkopt import WorkerPool
from sparkopt.spark.java import ensure_java
from sparkopt.worker.spec import Endpoint
from tests.support.proxy import Proxy

_END_SECONDS = 20

_QUICK_START = "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
"""Java's options for JVMs that live for a minute."""


class Executor:
    """An executor: its JVM, and every process that descends from it.

    Attributes:
        jvm: the JVM's process.
    """

    def __init__(self, jvm: psutil.Process) -> None:
        self.jvm = jvm

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Executor) and self.jvm == other.jvm

    def __hash__(self) -> int:
        return hash(self.jvm)

    @property
    def pid(self) -> int:
        """The JVM's process id."""
        return self.jvm.pid

    def processes(self) -> list[psutil.Process]:
        """The JVM and its descendants, whatever they are."""
        try:
            return [self.jvm, *self.jvm.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []

    def has(self, pid: int) -> bool:
        """Whether a process is one of its."""
        return any(process.pid == pid for process in self.processes())

    def kill(self) -> None:
        """End its JVM by SIGKILL, as a node does that goes."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.jvm.kill()

    def stop(self) -> list[psutil.Process]:
        """Stop the JVM and all that descends from it, by SIGSTOP; says what was stopped."""
        return _stop(self.processes)

    def decommission(self) -> None:
        """Tell its JVM that it is to go, as a cluster does that takes its machine away."""
        with contextlib.suppress(psutil.NoSuchProcess):
            self.jvm.send_signal(signal.SIGPWR)

    def wait(self, seconds: float) -> None:
        """Wait until its JVM has ended.

        Raises:
            psutil.TimeoutExpired: if it has not.
        """
        self.jvm.wait(seconds)


def executors_of(daemons: list[int]) -> list[Executor]:
    """The executors of worker daemons, which may be another process's cluster."""
    found = [child for daemon in daemons for child in psutil.Process(daemon).children()]
    return [Executor(child) for child in found if _is_alive(child)]


def _is_alive(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:  # it has ended since it was found
        return False


def resume(stopped: list[psutil.Process]) -> None:
    """Let processes go on that :meth:`Executor.stop` has stopped."""
    _signal(stopped, signal.SIGCONT)


def kill(processes: list[psutil.Process]) -> None:
    """Kill processes, some of which may be gone or go with others."""
    _signal(processes, signal.SIGKILL)


def _stop(family: Callable[[], list[psutil.Process]]) -> list[psutil.Process]:
    """Stop processes by SIGSTOP, with those that they have forked meanwhile; says what was stopped."""
    stopped: list[psutil.Process] = []
    while fresh := [each for each in family() if each not in stopped]:
        _signal(fresh, signal.SIGSTOP)
        stopped += fresh
    return stopped


def _signal(processes: list[psutil.Process], number: int) -> None:
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.send_signal(number)


class Cluster:
    """A master and worker daemons, for as long as a ``with`` block lasts.

    Example:
        >>> with Cluster(daemons=2) as cluster:
        ...     session = get_session(settings=cluster.settings())

    Args:
        daemons: how many worker daemons.
        cores: slots that each of them has.
        gpus: addresses that each of them takes for GPUs. Spark believes a script that prints them.
        home: the SPARK_HOME of the Spark that it is of; by default the installed one.
        apart: whether Spark takes each daemon for a machine of its own; by default all are of one.

    Attributes:
        address: the master's, ``spark://host:port``.
        daemons: the worker daemons' processes.
    """

    def __init__(
        self,
        daemons: int = 2,
        cores: int = 1,
        gpus: Sequence[str] = (),
        home: Path | None = None,
        *,
        apart: bool = False,
    ) -> None:
        self._number, self.cores, self._gpus = daemons, cores, gpus
        self._apart = apart
        self._home = home or Path(pyspark.__file__).parent
        self._ends = contextlib.ExitStack()
        self.address = ""
        self.daemons: list[psutil.Process] = []

    def __enter__(self) -> Cluster:
        ensure_java()
        with self._ends as ends:
            self._directory = Path(ends.enter_context(tempfile.TemporaryDirectory(prefix="cluster-")))
            master = ends.enter_context(
                _daemon(self._home, "master.Master", "--port", "0", stderr=subprocess.PIPE)
            )
            self.address = _address_of(master)
            environment = {"SPARK_WORKER_OPTS": self._discovery()} if self._gpus else None
            for number in range(self._number):
                place = self._directory / f"daemon-{number}"
                host = f"127.0.0.{1 + number * self._apart}"
                daemon = joining_daemon(self.address, self.cores, place, self._home, environment, host)
                self.daemons.append(psutil.Process(ends.enter_context(daemon)))
            self._ends = ends.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._ends.close()

    def _discovery(self) -> str:
        """Java's options that tell a daemon of its GPUs."""
        script = self._directory / "gpus"
        script.write_text(f"#!/bin/sh\necho '{json.dumps({'name': 'gpu', 'addresses': [*self._gpus]})}'\n")
        script.chmod(0o755)
        resource = "-Dspark.worker.resource.gpu"
        return f"{resource}.amount={len(self._gpus)} {resource}.discoveryScript={script}"

    def settings(self) -> dict[str, str]:
        """Spark's settings for a session that has an executor on each daemon, and is there once they are."""
        ready = {
            "spark.cores.max": str(self._number * self.cores),
            "spark.scheduler.minRegisteredResourcesRatio": "1.0",
            "spark.scheduler.maxRegisteredResourcesWaitingTime": "120s",
        }
        return {
            **(ready if self._number else {}),
            "spark.master": self.address,
            "spark.driver.host": "127.0.0.1",
            "spark.executor.memory": "512m",
            # Executors that come and go are what this is for; Spark would give an application up for it.
            "spark.deploy.maxExecutorRetries": "-1",
            "spark.executor.extraJavaOptions": _QUICK_START,
            "spark.driver.extraJavaOptions": _QUICK_START,
            "spark.ui.enabled": "false",
            "spark.log.level": "OFF",
        }

    def elastic_settings(self, idle_seconds: int = 3) -> dict[str, str]:
        """Spark's settings for a session whose executors come and go: none at first, each with one slot.

        Args:
            idle_seconds: how long an executor stays that has nothing to do.
        """
        settings = self.settings()
        del settings["spark.scheduler.minRegisteredResourcesRatio"]
        del settings["spark.cores.max"]
        return {
            **settings,
            "spark.executor.cores": "1",
            "spark.dynamicAllocation.enabled": "true",
            "spark.dynamicAllocation.shuffleTracking.enabled": "true",
            "spark.dynamicAllocation.minExecutors": "0",
            "spark.dynamicAllocation.maxExecutors": str(self._number * self.cores),
            "spark.dynamicAllocation.executorIdleTimeout": f"{idle_seconds}s",
            "spark.decommission.enabled": "true",
            # What its tracker says of tasks is true at once, and not some seconds later.
            "spark.ui.liveUpdate.period": "0",
        }

    def executors(self) -> list[Executor]:
        """The executors of just now; a daemon whose executor has ended may have none for a moment."""
        return executors_of([daemon.pid for daemon in self.daemons])


class LinedPool(WorkerPool):
    """A pool whose gangs each reach the coordinator by a line of their own, which can be cut.

    Attributes:
        lines: by the gang's number.
    """

    def __init__(self, *arguments: Any, **more: Any) -> None:
        super().__init__(*arguments, **more)
        self.lines: dict[int, Proxy] = {}

    def close(self) -> None:
        """Close the pool, and then its lines."""
        for line in self.lines.values():
            line.delay = 0.0
            line.mend()
        super().close()
        while self.lines:
            self.lines.popitem()[1].close()

    def _endpoint_for(self, gang: int) -> Endpoint:
        endpoint = super()._endpoint_for(gang)
        line = self.lines.get(gang)
        if line is None:
            line = self.lines[gang] = Proxy(endpoint.address)
        return dataclasses.replace(endpoint, address=line.address)


@contextlib.contextmanager
def joining_daemon(
    address: str,
    cores: int,
    place: Path,
    home: Path | None = None,
    environment: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
) -> Iterator[int]:
    """A worker daemon, which may be one more for another process's cluster; its process id.

    Args:
        address: of the master.
        cores: how many it has.
        place: a directory for its executors.
        home: the SPARK_HOME of the Spark that it is of; by default the installed one.
        environment: variables for it.
        host: its loopback address.
    """
    options = ["--cores", str(cores), "--memory", "1g", "--work-dir", str(place)]
    with _daemon(
        home or Path(pyspark.__file__).parent,
        *("worker.Worker", *options, address),
        environment=environment,
        host=host,
        stderr=subprocess.DEVNULL,
    ) as process:
        yield process.pid


@contextlib.contextmanager
def _daemon(
    home: Path,
    kind: str,
    *options: str,
    environment: Mapping[str, str] | None = None,
    host: str = "127.0.0.1",
    **streams: Any,
) -> Iterator[subprocess.Popen[bytes]]:
    """One of Spark's standalone daemons."""
    common = ["--host", host, "--webui-port", "0"]
    with subprocess.Popen(
        [home / "bin" / "spark-class", f"org.apache.spark.deploy.{kind}", *common, *options],
        env={
            **os.environ,
            "SPARK_LOCAL_IP": host,
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_DAEMON_JAVA_OPTS": _QUICK_START,
            **(environment or {}),
        },
        **streams,
    ) as process:
        family = psutil.Process(process.pid)
        try:
            yield process
        finally:
            # Its executors do not outlive it, nor one that it would start in the place of one that ends.
            stopped = _stop(lambda: [family, *family.children(recursive=True)])
            _signal(stopped, signal.SIGKILL)
            process.wait(_END_SECONDS)
            psutil.wait_procs(stopped, _END_SECONDS)


def _address_of(master: subprocess.Popen[bytes]) -> str:
    log: IO[bytes] | None = master.stderr
    assert log is not None
    for line in log:
        if found := re.search(r"Starting Spark master at (spark://\S+)", line.decode()):
            # A pipe that nobody reads would stop the master once it is full.
            threading.Thread(target=log.read, name="log of the master", daemon=True).start()
            return found.group(1)
    raise RuntimeError("the master ended before it had an address")
