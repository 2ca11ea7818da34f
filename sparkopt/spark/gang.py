"""A Spark job that runs workers.

One thread launches the job and waits for it, under a tag of its own, so that it can be cancelled without
touching anything else in the session. The job ends when its workers leave, which the coordinator asks them
to; it is cancelled if they do not. However the thread ends, it reports the end of the gang, with the reason.
"""

from __future__ import annotations

import pickle
import threading
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from pyspark import TaskContext
from pyspark.sql import SparkSession

from sparkopt.errors import NoSlotsError
from sparkopt.spark import interpreters, versions
from sparkopt.spark.job_ends import JobEnd, describe, job_end_of
from sparkopt.spark.own_package import own_package
from sparkopt.spark.session import (
    cancel_job,
    counting_tasks,
    inheriting,
    is_connect,
    need_broadcasts,
    tag_jobs,
    tasks_of,
)
from sparkopt.worker.spec import WorkerSpec

if TYPE_CHECKING:
    from sparkopt.spark.launcher import Launcher


_WITHDRAWAL_SECONDS: Final = 60.0
"""Seconds that Spark may take to cancel a job that was withdrawn."""

_WITHDRAWN: Final = JobEnd("its launch was withdrawn", preempted=True)


class Gang:
    """One launch of one gang.

    Attributes:
        number: the gang's.
        generation: how many times it has been launched with this.
        tag: of its job.
        tasks: the most of its tasks that Spark was seen to run.

    Args:
        session: where it runs.
        spec: what its workers are told.
        launcher: makes its job.
        size: how many workers, if there is room for them.
        room: returns how many slots the job may take, or None if that is not known. Called from the gang's
            thread, right before the job is submitted.
        broadcasts: the variables whose values the workers will need.
        inherit: gives the job the settings that the user's thread has made for its Spark jobs.
        look_seconds: how often to look whether Spark has started more of its tasks, until it has started all.
            Spark Connect says so by itself.
        on_progress: called from a thread of the gang's when Spark has started more tasks.
        on_end: called once, when the job has ended: from the gang's thread, or from the one that launches it
            if the system has no more threads.
    """

    def __init__(
        self,
        session: SparkSession,
        spec: WorkerSpec,
        launcher: Launcher,
        size: int,
        room: Callable[[], int | None],
        broadcasts: Iterable[Any],
        inherit: versions.Inherit,
        look_seconds: float,
        on_progress: Callable[[], None],
        on_end: Callable[[JobEnd], None],
    ) -> None:
        self.number = spec.gang
        self.generation = spec.generation
        self._session = session
        self._spec = spec
        self._launcher = launcher
        self._size = size
        self._room = room
        self._broadcasts = tuple(broadcasts)
        self._inherit = inherit
        self._look_seconds = look_seconds
        self._on_progress = on_progress
        self._on_end = on_end
        self.tasks = 0
        self.tag = f"sparkopt-{uuid4().hex[:12]}"
        name = f"sparkopt-gang{spec.gang}.{spec.generation}"
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._ended = threading.Event()
        self._withdrawn = False
        self._withdrawing = threading.Thread(target=self._cancel_withdrawn, name=f"{name}-withdrawn")
        self._looking = threading.Thread(target=self._look, name=f"{name}-start", daemon=True)

    @property
    def slots(self) -> int:
        """Number of slots that its workers take, or are about to."""
        return self._size if self._thread.is_alive() else 0

    def running(self) -> int | None:
        """Returns the most tasks that can be running now; None if the job has not reached Spark yet."""
        if is_connect(self._session):
            return self.tasks
        told = tasks_of(self._session, self.tag)
        if told is None:
            return None
        running, started = told
        self.tasks = max(self.tasks, started)
        return running

    @property
    def has_ended(self) -> bool:
        """True if its job is over."""
        return self._ended.is_set()

    def launch(self) -> None:
        """Ask Spark for the job, in the background."""
        try:
            self._thread.start()
        except RuntimeError as error:
            self._ended.set()
            self._on_end(JobEnd(f"its job was not launched: {describe(error)}"))

    def wait(self, seconds: float) -> bool:
        """Wait for the job to end, and return whether it has."""
        if self._thread.ident is None:
            return True  # whoever was to launch it was interrupted
        self._thread.join(seconds)
        if not self._thread.is_alive() and self._withdrawing.ident is not None:
            self._withdrawing.join()
        return not self._thread.is_alive()

    def cancel(self, seconds: float) -> bool:
        """Have Spark kill the job, and return whether it has ended in time.

        Its tasks are only asked to stop: tell the workers first.
        """
        return cancel_job(self._session, self.tag, self._thread, seconds)

    def withdraw(self) -> None:
        """Have Spark end the job, in the background, because it is no longer wanted."""
        self._withdrawn = True
        if self._withdrawing.ident is None:
            self._withdrawing.start()

    def _cancel_withdrawn(self) -> None:
        self.cancel(_WITHDRAWAL_SECONDS)

    def _run(self) -> None:
        try:
            end = self._end_of_job()
        except BaseException as error:  # noqa: BLE001 - whatever ends this thread, the gang is not waited for
            end = JobEnd(describe(error))
        self._ended.set()
        self._on_end(end)
        if self._looking.ident is not None:
            self._looking.join()

    def _end_of_job(self) -> JobEnd:
        try:
            room = self._room()
            self._size = self._size if room is None else min(self._size, room)
            if self._size < 1:
                raise NoSlotsError("Spark has no slots for its workers any more")
            if self._withdrawn:
                return _WITHDRAWN
            if not is_connect(self._session) and not self._launcher.elastic:
                self._looking.start()
            self._inherit(self._collect)()
        except Exception as error:  # noqa: BLE001 - told to whoever waits for the workers
            return _WITHDRAWN if self._withdrawn else job_end_of(self._session, error)
        return JobEnd("its job ended" if self._launcher.elastic else "its barrier job ended")

    def _collect(self) -> None:
        # What is inherited is one object for all gangs of a pool: each needs a copy to add its own tag to.
        inheriting(self._session)(self._collect_tagged)()

    def _collect_tagged(self) -> None:
        session, size = self._session, self._size
        tag_jobs(session, self.tag, f"sparkopt workers of gang {self._spec.gang}")
        need_broadcasts(session, self._broadcasts)
        with interpreters.drivers_on_local_master(session):
            run_job = self._launcher.job(size, _work_of(self._spec))
        with counting_tasks(session, self._hear_of_tasks):
            run_job()

    def look(self) -> None:
        """Look whether Spark has started more of its tasks."""
        if self.tasks < self._size and not self._ended.is_set():
            _, started = tasks_of(self._session, self.tag) or (0, 0)
            self._hear_of_tasks(started)

    def _look(self) -> None:
        while self.tasks < self._size and not self._ended.wait(self._look_seconds):
            self.look()

    def _hear_of_tasks(self, started: int) -> None:
        if started > self.tasks:
            self.tasks = started
            self._on_progress()


def _work_of(spec: WorkerSpec) -> versions.Work:
    """Makes the function that a worker's task calls: it is a worker, and returns how many trials it ran.

    An executor may not have this package. So the function refers to nothing of it: it brings along the
    package, and the code of a bootstrap.
    """
    code, archive, digest = own_package()
    told = pickle.dumps(spec)

    def work() -> tuple[int, int]:
        bootstrap: dict[str, Any] = {"__name__": "sparkopt_bootstrap"}
        exec(code, bootstrap)  # noqa: S102 - our own file
        context = TaskContext.get()
        slot = context.partitionId() if context is not None else 0
        given = context.resources() if context is not None else {}
        resources = {name: list(each.addresses) for name, each in given.items()}
        attempt = (0, None) if context is None else (context.attemptNumber(), context.taskAttemptId())
        return slot, bootstrap["run"](archive, digest, told, slot, resources, attempt)

    return work
