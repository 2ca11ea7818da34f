"""Entry point of a barrier task.

Spark uses a Python worker again for other jobs, so this process stays as it was: it forks process A, which
does everything, and waits for it. It loads neither grpc nor our messages, which no process can load in two
versions, and starts no thread; whatever else process A needs is loaded here, so that the next pool's A finds
it loaded.

    task ──▶ A      a leash, whose end is the task's end
    task ◀── A      signs of life, with how many lives the worker has had by now; in the end how it went

An objective may kill or stop process A. The gang must not suffer for that: once A has reached the
coordinator, another one takes its place when it dies or gives no sign of life, as the next life of the same
worker.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import select
import shutil
import signal
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from sparkopt.core import states  # noqa: F401
from sparkopt.errors import SparkoptError
from sparkopt.wire import actor_log, owner_only, protobuf_runtime  # noqa: F401
from sparkopt.worker import descriptors, gpus, processes, trial_info
from sparkopt.worker.nursery_handle import NurseryEndedError, NurseryHandle
from sparkopt.worker.spec import FIRST_ATTEMPT, Birth, TaskAttempt, WorkerSpec

_PATIENCE: Final = 10.0
"""Seconds beyond the grace that A may be silent. By then its trial is given to another worker."""

_LOOK_SECONDS: Final = 0.5
"""Seconds of that silence counted in one step, so that time when the host is suspended does not count."""

_FAREWELL_SECONDS: Final = 30.0
"""Seconds that A gets to clean up after its task ends, before it is killed."""


NO_RESOURCES: Final[Mapping[str, Sequence[str]]] = MappingProxyType({})

_STILLBORN: Final = 3
"""Number of processes A in a row that end without reaching the coordinator at which a worker fails, if an
earlier one did reach it."""


class WorkerFailedError(SparkoptError):
    """A worker's process A ended though nobody asked for that."""


class UnloadableError(WorkerFailedError):
    """A worker's process A could not load what it needs."""


@dataclass(slots=True)
class _Said:
    """Messages that process A has sent.

    Attributes:
        life: number of the worker's lives that the coordinator may know of; 0 if A never reached it.
        trials: number of trials that A has run.
        answer: result of A, if A has come to its end.
        ended: whether A sends no more messages.
    """

    life: int = 0
    trials: int = 0
    answer: dict[str, Any] = field(default_factory=dict)
    ended: bool = False
    _begun: bytes = b""

    def feed(self, data: bytes) -> None:
        """Take in what was read; nothing means the end."""
        self.ended = not data
        *lines, self._begun = (self._begun + data).split(b"\n")
        for line in lines:
            said = json.loads(line)
            if isinstance(said, list):
                self.life, self.trials = said
            else:
                self.answer = said
                self.trials = said.get("trials", self.trials)


def run(
    spec: WorkerSpec,
    slot: int,
    resources: Mapping[str, Sequence[str]] = NO_RESOURCES,
    attempt: TaskAttempt = FIRST_ATTEMPT,
) -> int:
    """Be a worker until the coordinator expels it.

    Args:
        spec: the gang's description.
        slot: which of the gang's workers this is.
        resources: addresses of what Spark gave the task, by the resource's name.
        attempt: Spark's of the task.

    Returns:
        How many trials it ran.

    Raises:
        WorkerFailedError: if the worker could not go on; the message says why. Never for what an objective
            did.
        UnloadableError: if that is because its packages cannot be loaded.
        GpuAddressError: if nothing can be told to use the task's GPUs.
    """
    task_gpus = gpus.of_task(resources)
    gpus.variables_for(task_gpus)  # refused before a process is forked
    birth, trials, stillborn = Birth(secrets.token_hex(16), task=attempt), 0, 0
    before = processes.children()
    processes.adopt_orphans()
    try:
        while True:
            said, why = _live(spec, slot, birth, task_gpus)
            trials += said.trials
            if why is None:
                return trials
            # It may have left everything behind: whoever descends from it is this process's by now.
            processes.bury_children(keep=before)
            stillborn = 0 if said.life else stillborn + 1
            if "unloadable" in said.answer:
                raise UnloadableError(f"{spec.name(slot, birth.life)} could not start: {why}")
            if "error" in said.answer or stillborn >= (_STILLBORN if birth.life > 1 else 1):
                name = spec.name(slot, birth.life, attempt.number)
                raise WorkerFailedError(f"{name} could not go on: {why}")
            if said.life:
                birth = Birth(birth.key, said.life + 1, attempt)
    finally:
        processes.adopt_orphans(False)


def _live(spec: WorkerSpec, slot: int, birth: Birth, task_gpus: tuple[str, ...]) -> tuple[_Said, str | None]:
    """Fork process A and wait for its end. Return its messages, and why it ended if nobody asked for that."""
    leash, leash_holder = os.pipe()
    report, report_writer = os.pipe()
    directory = Path(tempfile.gettempdir(), f"sparkopt-worker-{secrets.token_hex(8)}")

    def process_a() -> None:
        os.close(leash_holder)
        os.close(report)
        # Spark's sockets to the JVM among them.
        descriptors.let_go_of_all_but({*descriptors.STANDARD, leash, report_writer})
        gpus.show(task_gpus)
        trial_info.has_gpus(task_gpus)
        answer = _work(spec, slot, birth, directory, leash, report_writer, task_gpus)
        with contextlib.suppress(BrokenPipeError):  # the barrier task may be gone
            os.set_blocking(report_writer, True)
            os.write(report_writer, json.dumps(answer).encode() + b"\n")

    pid = processes.fork(process_a)
    os.close(leash)
    os.close(report_writer)
    said = _Said()
    silent = 0.0
    try:
        while not said.ended and silent < spec.grace + _PATIENCE:
            silent = 0.0 if _heard(report, said, _LOOK_SECONDS) or not said.life else silent + _LOOK_SECONDS
        if not said.ended:
            os.kill(pid, signal.SIGKILL)
    finally:
        os.close(leash_holder)
        os.kill(pid, signal.SIGCONT)  # it may have been stopped, and this process be ended by an exception
        left = _FAREWELL_SECONDS
        while not said.ended and left > 0:
            left -= 0.0 if _heard(report, said, _LOOK_SECONDS) else _LOOK_SECONDS
        if not said.ended:
            os.kill(pid, signal.SIGKILL)
        os.close(report)
        _, status = os.waitpid(pid, 0)
        shutil.rmtree(directory, ignore_errors=True)  # in case that process A could not
    if "trials" in said.answer:
        return said, None
    if silent:
        return said, f"its process gave no sign of life for {silent:.0f} s"
    ended = f"its process ended: {processes.describe_exit(status)}"
    told = (said.answer.get(key) for key in ("unloadable", "error", "again"))
    return said, next(filter(None, told), ended)


def _heard(report: int, said: _Said, seconds: float) -> bool:
    """Wait for a message of process A, and return whether there was one."""
    readable, _, _ = select.select([report], [], [], seconds)
    if readable:
        said.feed(os.read(report, 65536))
    return bool(readable)


def _work(
    spec: WorkerSpec,
    slot: int,
    birth: Birth,
    directory: Path,
    leash: int,
    report: int,
    task_gpus: tuple[str, ...],
) -> dict[str, Any]:
    # Out of the group that Spark's daemon hangs up on when the session is stopped: this process learns of the
    # end of its task by the leash, and cleans up, even if somebody has stopped it.
    os.setsid()
    processes.wake_with_parent()
    processes.adopt_orphans()
    try:
        directory.mkdir(mode=0o700)  # only now: whoever is killed before leaves nothing
    except OSError as error:
        return {"error": f"{type(error).__name__}: {error}"}
    nursery = NurseryHandle(directory)
    os.set_blocking(report, False)
    try:
        # Only now: grpc must not be loaded when the nursery is forked.
        try:
            from sparkopt.worker import agent
        except Exception as error:  # noqa: BLE001 - an extension, or what it checks, may raise anything
            return {"unloadable": f"{type(error).__name__}: {error}"}
        return agent.main(spec, slot, birth, directory, nursery, leash, report, task_gpus)
    except Exception as error:  # noqa: BLE001 - told to the driver, which raises it
        if ended := _nursery_end(error):
            return {"again": str(ended)}
        return {"error": f"{type(error).__name__}: {error}"}
    finally:
        nursery.bury()
        shutil.rmtree(directory, ignore_errors=True)


def _nursery_end(error: BaseException) -> NurseryEndedError | None:
    """The error that has ended A, if it is of this type: without descriptors its loop cannot be closed."""
    found: BaseException | None = error
    while found is not None and not isinstance(found, NurseryEndedError):
        found = found.__context__
    return found
