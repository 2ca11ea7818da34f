"""A pool of workers: a coordinator and the gangs that it steers, for as long as a ``with`` block lasts.

    WorkerPool ── starts ──▶ Coordinator   who runs what
       │                        │ relaunch
       └── launches ──▶ Gang ◀──┘          the workers, in one barrier job

Leaving the block expels the workers, ends their barrier job, and gives their slots back to Spark, whatever
ended the block.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Final

from sparkopt.coordinator import Coordinator, Recorder, StudyChannel
from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.errors import PoolError, PoolLostError, PoolStartError
from sparkopt.spark import parallelism as slots
from sparkopt.spark import session as spark
from sparkopt.spark.gang import Gang
from sparkopt.spark.preflight import PickledObjective, check_settings, pickle_objective
from sparkopt.worker.reports import ReportingObjective
from sparkopt.worker.spec import WorkerSpec

_LEAVE_SECONDS: Final = 5.0
"""How long the barrier job may take to end by itself once its workers were expelled."""

_CANCEL_SECONDS: Final = 30.0
"""How long Spark may take to cancel it after that."""


class WorkerPool:
    """Workers inside the tasks of a Spark barrier job, and the coordinator that they take trials from.

    Args:
        parallelism: how many trials may run at once, and how many workers there are; already decided upon.
        session: the Spark session to run in.
        objective: what the studies of this pool evaluate, from :meth:`prepare`.
        policy: the limits of the core.
        profile: the resources that each worker needs, if the session supports that.

    Raises:
        NoSlotsError: on entering, if Spark has no slot at all.
    """

    def __init__(
        self,
        parallelism: int,
        session: spark.Session,
        objective: PickledObjective,
        policy: Policy | None = None,
        profile: spark.Profile | None = None,
    ) -> None:
        self._session = session
        self._profile = profile
        self._objective = objective
        self._size = parallelism
        self._policy = policy or Policy()
        self._gangs: list[Gang] = []
        self._lock = threading.Lock()
        self._closing = False
        self._studies = itertools.count(1)

    @staticmethod
    def prepare(
        objective: Callable[..., Any] | ReportingObjective, session: spark.Session
    ) -> PickledObjective:
        """Check everything that can be checked before anything is launched.

        Raises:
            RefusedError: if the session's settings or the objective rule workers out.
        """
        check_settings(session)
        return pickle_objective(objective, session)

    def __enter__(self) -> WorkerPool:
        self._size = slots.check_slots(self._size, self._session, self._policy.start, self._profile)
        self._coordinator = Coordinator(
            self._size,
            spark.driver_host(self._session),
            relaunch=self._launch,
            explain=self._explain,
            policy=self._policy,
        )
        self._endpoint = self._coordinator.start()
        try:
            self._coordinator.tell(events.GangLaunched(0, self._size))
            self._launch(0, 1, self._size)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def size(self) -> int:
        """How many workers the pool was launched with."""
        return self._size

    def open_study(
        self, max_attempts: int, trial_timeout: float | None = None, recorder: Recorder | None = None
    ) -> StudyChannel:
        """Let a study use the workers.

        Args:
            max_attempts: how many workers a trial may take down before it is recorded as lost.
            trial_timeout: seconds that a trial may take before it is killed and fails; None for any.
            recorder: hears of everything before the study does, in the coordinator's thread.
        """
        name = f"study{next(self._studies)}"
        return self._coordinator.open_study(name, self._objective.data, max_attempts, trial_timeout, recorder)

    def close(self) -> None:
        """Expel the workers and wait until their job has ended. Running trials are ended. Idempotent."""
        with self._lock:
            self._closing = True
            gangs = list(self._gangs)
        try:
            # The server stays up meanwhile: a worker that is only just starting is sent away when it joins.
            self._coordinator.expel_all()
            for gang in gangs:
                if not gang.wait(_LEAVE_SECONDS):
                    gang.cancel(_CANCEL_SECONDS)
        finally:
            self._coordinator.close()

    def _launch(self, number: int, generation: int, size: int) -> None:
        spec = WorkerSpec(self._endpoint, number, generation, grace=self._policy.grace)

        def ended(reason: str) -> None:
            if not self._closing:
                self._coordinator.tell(events.GangEnded(number, generation, reason))

        gang = Gang(self._session, spec, size, self._objective.broadcasts, self._profile, ended)
        with self._lock:
            if self._closing:
                return
            self._gangs.append(gang)
            gang.launch()

    def _explain(self, reason: str, joined: bool) -> PoolError:
        if joined:
            return PoolLostError(f"the pool has lost its workers: {reason}. Finished trials are kept.")
        have, busy = spark.slots(self._session, self._profile), spark.running_tasks(self._session)
        return PoolStartError(
            f"the workers did not come up: {reason}. {self._size} slots are needed at once; Spark has {have},"
            f" and {busy} tasks are running. If other jobs hold the slots, wait for them or ask for a smaller"
            " parallelism; if not, the executors' logs say more."
        )
