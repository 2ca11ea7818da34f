"""Access to a Spark Connect session, with assumptions about what the session does not tell.

A client of Spark Connect has no ``SparkContext``: it cannot ask how many tasks can run at once, how many are
running, or where the executors are. It has the session's settings and plans, it can tag what it runs and
interrupt what has a tag, and it is told how many of its own tasks are running. Spark's driver is the server,
so the client's address is not that of the driver.
"""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyspark.resource import ResourceProfile
from pyspark.sql import SparkSession

from sparkopt.errors import RefusedError
from sparkopt.spark import versions
from sparkopt.spark.settings import is_local, setting
from sparkopt.worker.gpus import RESOURCE as GPU

HOST_SETTING: Final = "spark.sparkopt.driver.host"
"""The Spark setting that names the address by which executors reach this process."""

BIND_SETTING: Final = "spark.sparkopt.driver.bindAddress"
"""The Spark setting that names the address to listen at, if that differs from the one executors use."""

_LOOPBACK: Final = "127.0.0.1"
_SPLITS: Final = re.compile(r"\bRange \(.*\bsplits=(\d+)\)")
_LOCAL: Final = re.compile(r"local(?:\[(\d+)(?:,\d+)?\])?")


def is_connect(session: SparkSession) -> bool:
    """Returns whether a session is one of Spark Connect."""
    return type(session).__module__.startswith("pyspark.sql.connect.")


def name(session: SparkSession) -> str:
    """Returns what the server calls the session."""
    return str(_client(session)._session_id)


def is_stopped(session: SparkSession) -> bool:
    """Returns whether this process has stopped it. Only a request shows whether the server still has it."""
    its: Any = session
    return bool(its.is_stopped)


def is_stopped_by_now(session: SparkSession) -> bool:
    """Returns the same, after waiting for a stop that is under way: it ends what the session runs first."""
    its: Any = session
    with its._lock:  # PySpark holds it from the first step of a stop to the last
        return is_stopped(session)


def default_parallelism(session: SparkSession) -> int:
    """Spark's default parallelism: what the plan of a range says that it would be split into."""
    plan: Any = session.range(1)
    found = _SPLITS.search(plan._explain_string())
    return int(found.group(1)) if found else 1


def slots(session: SparkSession, profile: ResourceProfile | None) -> int | None:
    """Returns how many tasks Spark is assumed to run at once; None if no setting tells.

    A local master says so. On a cluster Spark's default parallelism is the number of its executors' cores,
    two at least, unless a setting changes it.
    """
    cores = _cores(session)
    if cores is None:
        return None
    cpus, gpus = _needs(session, profile)
    return min(int(cores / cpus), _gpu_slots(session, cores, gpus))


def slots_of_executor(session: SparkSession, profile: ResourceProfile | None) -> int | None:
    """Returns how many tasks one executor runs at once; None if no setting says how many cores it has."""
    cores = setting(session, "spark.executor.cores")
    if profile is not None and "cores" in profile.executorResources:
        cores = str(profile.executorResources["cores"].amount)
    if not cores:
        return None
    cpus, gpus = _needs(session, profile)
    return min(int(int(cores) / cpus), _gpu_slots(session, int(cores), gpus))


def _needs(session: SparkSession, profile: ResourceProfile | None) -> tuple[float, float]:
    """Number of CPUs and of GPUs that a task needs."""
    cpus = float(setting(session, "spark.task.cpus", "1"))
    gpus = float(setting(session, f"spark.task.resource.{GPU}.amount", "0"))
    if profile is not None:
        needs = profile.taskResources
        cpus = needs["cpus"].amount if "cpus" in needs else cpus
        gpus = needs[GPU].amount if GPU in needs else gpus
    return cpus, gpus


def _gpu_slots(session: SparkSession, cores: int, gpus: float) -> int:
    """Number of tasks that Spark has GPUs for, if each needs ``gpus`` of them; at most ``cores``.

    The number of executors, and so of GPUs, is known only if the settings say how many cores an executor
    has.
    """
    each = int(setting(session, f"spark.executor.resource.{GPU}.amount", "0"))
    executor_cores = int(setting(session, "spark.executor.cores", "0"))
    if not (gpus and each and executor_cores):
        return cores
    # Tasks that need a part of a GPU share one; a task that needs several gets them all on one executor.
    for_each = each * int(1 / gpus) if gpus <= 1 else int(each / gpus)
    return for_each * (cores // executor_cores)


def _cores(session: SparkSession) -> int | None:
    local = _LOCAL.fullmatch(setting(session, "spark.master"))
    if local is not None:
        return int(local.group(1) or 1)
    set_by_hand = ("spark.default.parallelism", "spark.sql.leafNodeDefaultParallelism")
    if any(setting(session, key) for key in set_by_hand):
        return None
    return default_parallelism(session)


def known_profile(session: SparkSession, profile: ResourceProfile) -> ResourceProfile:
    """The profile, made known to the server.

    Raises:
        Exception: the error that Spark would otherwise raise when a job is submitted with the profile.
    """
    _ = profile.id  # reading the id registers the profile with the server
    return profile


def tag_jobs(session: SparkSession, tag: str) -> None:
    """Tag everything that the calling thread runs from now on."""
    session.addTag(tag)


def cancel(session: SparkSession, tag: str) -> None:
    """Cancel what runs under a tag."""
    session.interruptTag(tag)


def driver_host(session: SparkSession) -> str:
    """The address by which executors are assumed to reach this process.

    Raises:
        RefusedError: if no setting names it, and this machine has no IPv4 route to the server.
    """
    return setting(session, HOST_SETTING) or _own_address(session, "spark.driver.host")


def bind_address(session: SparkSession) -> str:
    """The address to listen at for executors.

    Raises:
        RefusedError: if no setting names it, and this machine has no IPv4 route to the server.
    """
    given = setting(session, BIND_SETTING) or setting(session, HOST_SETTING)
    return given or _own_address(session, "spark.driver.bindAddress", "spark.driver.host")


def _own_address(session: SparkSession, *settings: str) -> str:
    """This process's address, as far as the session tells.

    Args:
        session: of Spark Connect.
        settings: where to find it if the server is on this machine; the first one that is set counts.
    """
    ours = _address_towards(str(_client(session).host))
    if not ours.startswith("127."):
        return ours
    # The server is on this machine; so are its executors, or they reach it by its driver's address.
    found = () if is_local(session) else (setting(session, key) for key in settings)
    return next(filter(None, found), _LOOPBACK)


def _address_towards(host: str) -> str:
    """This machine's address on the way to another one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as route:
            route.connect((host, 9))  # which sends nothing
            return str(route.getsockname()[0])
    except OSError as error:
        raise RefusedError(
            f"there is no IPv4 route to the Spark Connect server at {host!r} ({error}), so it is not known by"
            f" which address executors reach this process: name it with the Spark setting {HOST_SETTING}"
        ) from error


@contextmanager
def counting_tasks(session: SparkSession, hear: Callable[[int], None]) -> Iterator[None]:
    """Count the running tasks of the Spark jobs that the calling thread starts, if the session tells.

    Args:
        session: where it runs.
        hear: called now and then with the number of running tasks.
    """
    if not versions.tells_progress(session):
        yield
        return
    thread = threading.current_thread()

    def progress(stages: Any, inflight_tasks: int, operation_id: str | None, done: bool) -> None:
        if threading.current_thread() is thread:
            hear(inflight_tasks)

    its: Any = session
    its.registerProgressHandler(progress)
    try:
        yield
    finally:
        its.removeProgressHandler(progress)


def _client(session: SparkSession) -> Any:
    its: Any = session
    return its.client
