"""A pool of workers: a coordinator and the gangs that it steers, for as long as a ``with`` block lasts.

    WorkerPool ── starts ──▶ Coordinator   who runs what
       │                        │ launches, withdraws
       └── launches ──▶ Gang ◀──┘          workers in one Spark job: a barrier job of several, or one alone

Each search opens a study of its own in the pool; several may share it. A pool that serves one study alone
lets its workers go one by one when that study comes to its end. Leaving the block expels the workers, ends
their jobs, and gives their slots back to Spark, whatever ended the block.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from types import TracebackType
from typing import Any, Final, TypeVar

from sparkopt.control import Control, ControlServer
from sparkopt.control.evaluation import Evaluation, EvaluationSpec
from sparkopt.coordinator import Coordinator, ObjectiveSpec, Recorder, StudyChannel
from sparkopt.core import events
from sparkopt.core.records import Elastic, Policy
from sparkopt.errors import (
    PoolCancelledError,
    PoolClosedError,
    PoolError,
    PoolLostError,
    PoolStartError,
    RefusedError,
)
from sparkopt.pool.executor_watch import ExecutorWatch
from sparkopt.pool.launches import Launches
from sparkopt.pool.leaving import has_left
from sparkopt.pool.patience import patience
from sparkopt.pool.slot_watch import SlotWatch
from sparkopt.pool.study_names import StudyNames
from sparkopt.spark import parallelism as slots
from sparkopt.spark import session as spark
from sparkopt.spark.background import BackgroundWork
from sparkopt.spark.barrier import BarrierLauncher
from sparkopt.spark.elastic import ElasticLauncher
from sparkopt.spark.elasticity import check_elastic, decide_elastic
from sparkopt.spark.gang import Gang
from sparkopt.spark.job_ends import JobEnd
from sparkopt.spark.launcher import Launcher
from sparkopt.spark.settings import is_local
from sparkopt.wire import forks
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.arguments import (
    WHOLE,
    check_limit,
    check_whole,
    hinting,
    refuse_type,
    refuse_value,
)
from sparkopt.wire.limits import HEARTBEAT_SECONDS
from sparkopt.worker.spec import Endpoint, WorkerSpec

Pool = TypeVar("Pool", bound="WorkerPool")

_LOG: Final = ActorLog("pool")

_WORKERS_LOG: Final = ActorLog("worker")
"""The workers' logger, whose level on the driver is theirs."""

_LOOK_SECONDS: Final = 15.0
"""Most seconds between two checks whether Spark has started more of a gang's tasks."""

_CANCEL_SECONDS: Final = 30.0
"""Seconds that Spark may take to cancel a job whose workers were expelled and that does not end by itself."""


class WorkerPool:
    """Workers inside the tasks of Spark jobs, and the coordinator that they take trials from.

    Users get :class:`sparkopt.WorkerPool`, which derives from this class and describes the arguments.

    Attributes:
        parallelism: how many trials may run at once. It rises when executors join.
        max_parallelism: how high it may rise.
        session: where the workers run.
        elastic: whether each of them comes and goes by itself.

    Raises:
        RefusedError: if an argument makes no sense, a Spark setting rules out what was asked for, or this is
            a Spark task.
        JavaNotFoundError: if a session had to be made and there is no Java.
    """

    @hinting
    def __init__(
        self,
        parallelism: int | None = None,
        *,
        spark_session: spark.Session | None = None,
        resource_profile: spark.Profile | None = None,
        gang_size: int | None = None,
        policy: Policy | None = None,
        heartbeat: float = HEARTBEAT_SECONDS,
        grace: float | None = None,
        start_timeout: float | None = None,
        control: bool | str | Control | None = None,
        elastic: bool | None = None,
        idle_seconds: float | None = None,
    ) -> None:
        parallelism = slots.check_parallelism(parallelism)
        if gang_size is not None:
            gang_size = check_whole("gang_size", gang_size, f"None or {WHOLE}", least=1)
        if policy is not None and not isinstance(policy, Policy):
            refuse_type("policy", policy, "None or a Policy")
        self._policy = patience(policy or Policy(), heartbeat, grace, start_timeout)
        self._look_seconds = min(_LOOK_SECONDS, self._policy.start / 4)
        self._heartbeat = heartbeat
        options = Control.of(control)
        elastic, idle = check_elastic(elastic), check_limit("idle_seconds", idle_seconds)
        if elastic is False and idle is not None:
            refuse_value("idle_seconds", idle, "None, as elastic=False asks for workers that stay")
        self.session = spark.get_session(spark_session)
        self.elastic = decide_elastic(elastic, self.session, gang_size)
        self._elastic = Elastic() if idle is None else Elastic(idle=idle)
        self._profile = spark.supported_profile(self.session, resource_profile)
        self.parallelism, self.max_parallelism = slots.decide_parallelism(
            parallelism, self.session, self._profile, elastic=self.elastic
        )
        self._launcher: Launcher = (
            ElasticLauncher(self.session, self._profile)
            if self.elastic
            else BarrierLauncher(self.session, self._profile, gang_size)
        )
        self._watches: list[ExecutorWatch | SlotWatch] = []
        self._alone = False
        self._before_launch: Callable[[], None] | None = None
        self._broadcasts: tuple[Any, ...] = ()
        self._coordinator: Coordinator | None = None
        self._launches = Launches()
        self._lock = threading.Lock()
        self._closing = False
        self._hurries = False
        self._cancelled: PoolCancelledError | None = None
        self._leaving = threading.Event()
        self._end = BackgroundWork(self._send_away, "sparkopt-closing")
        self._cancellation = BackgroundWork(self._cancel_jobs, "sparkopt-cancelling")
        self._names = StudyNames()
        self._control = None if options is None else ControlServer(options)

    def for_one_study(
        self: Pool,
        broadcasts: Sequence[Any],
        before_launch: Callable[[], None] | None = None,
        max_parallelism: int = 0,
    ) -> Pool:
        """Serve one study alone: each worker leaves, and gives its slot back, once no trial can need it.

        Args:
            broadcasts: the broadcast variables whose values the study's objective needs; Spark brings them.
            before_launch: called from a thread of the pool's right before a job of workers is submitted.
            max_parallelism: how many trials may run at once when executors join, if that is more.
        """
        self._alone = True
        self.max_parallelism = max(self.max_parallelism, max_parallelism)
        self._before_launch = before_launch
        self._broadcasts = tuple(broadcasts)
        return self

    def __enter__(self: Pool) -> Pool:
        """Launch the workers, in the background.

        Raises:
            NoSlotsError: if Spark has no slot at all.
            RefusedError: if the pool was opened before, the session was stopped meanwhile, or control cannot
                listen where it was told to.
        """
        spark.check_forks("a pool of workers")
        if self._coordinator is not None:
            raise RefusedError(
                "this pool was opened before: open each pool once, make another one, or go on inside the"
                " `with` block of this one"
            )
        spark.check_running(self.session)
        self._inherit = spark.inheriting(self.session)
        most = self.max_parallelism
        asked = slots.Parallelism(self.parallelism, most)
        self.parallelism = self._launcher.workers(asked, self._policy.start)
        self._host = spark.driver_host(self.session)
        slots.warn_of_assumptions(
            *(self.parallelism, self._host, self._policy.start, self.session, self._profile),
            elastic=self.elastic,
        )
        watch: ExecutorWatch | None = None
        if self.elastic and not spark.is_connect(self.session):
            watch = ExecutorWatch(self.session, self._launches, self._tell, self._look_seconds)
            self._watches.append(watch)
        elif not self.elastic and not is_local(self.session):
            have = partial(spark.slots, self.session, self._profile)
            self._watches.append(SlotWatch(have, self._launches, most, self._offer_slots))
        coordinator = self._coordinator = Coordinator(
            most,
            self._host,
            relaunch=self._launch,
            explain=self._explain,
            policy=self._policy,
            heartbeat=self._heartbeat,
            observer=self._control,
            listen=spark.bind_address(self.session),
            elastic=self._elastic if self.elastic else None,
            withdraw=self._launches.withdraw,
            watch=watch,
        )
        try:
            self._endpoint = coordinator.start()
            for number, size in enumerate(self._launcher.gangs(self.parallelism)):
                coordinator.post_event(events.GangLaunched(number, size))
                self._launch(number, 1, size)
            for each in self._watches:
                each.start()
            if self._control is not None:
                self._control.enlist()
            _LOG.info("pool opened", parallelism=self.parallelism, address=self._endpoint.address)
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
        if isinstance(error, KeyboardInterrupt):
            self._hurries = True
        self.close()

    @property
    def is_open(self) -> bool:
        """True if the workers are launched, and not sent away yet."""
        return self._coordinator is not None and not self._closing and self._cancelled is None

    def check_open(self) -> None:
        """Raise unless a study can use the workers.

        Raises:
            PoolClosedError: outside of the ``with`` block.
            PoolCancelledError: if the workers' Spark job was cancelled.
        """
        self._opened()
        if self._cancelled is not None:
            raise self._cancelled

    @property
    def control_address(self) -> str:
        """``host:port`` of the pool's control service, inside the ``with`` block.

        Raises:
            PoolClosedError: if the pool has no control service.
        """
        return self._opened_control().address

    @property
    def control_token(self) -> str:
        """Token for calls that may do anything.

        Raises:
            PoolClosedError: if there is no control service.
        """
        return self._opened_control().token

    @property
    def control_read_only_token(self) -> str:
        """Token for calls that may look only.

        Raises:
            PoolClosedError: if there is no control service.
        """
        return self._opened_control().read_only_token

    @property
    def control_certificate(self) -> bytes | None:
        """Certificate that a client has to trust (PEM), inside the ``with`` block; None without TLS.

        Raises:
            PoolClosedError: if there is no control service.
        """
        return self._opened_control().certificate

    @property
    def has_control(self) -> bool:
        """True if it has a control service, which runs inside the ``with`` block."""
        return self._control is not None

    def _opened_control(self) -> ControlServer:
        if self._control is None:
            raise PoolClosedError("the pool has no control service: open it with WorkerPool(control=True)")
        return self._control

    def open_study(
        self,
        objective: ObjectiveSpec,
        recorder: Recorder | None = None,
        name: str | None = None,
        space: Sequence[Mapping[str, Any]] = (),
        directions: Sequence[str] = (),
    ) -> StudyChannel:
        """Let a study use the workers.

        Args:
            objective: what runs for each of its trials.
            recorder: hears of everything before the study does, in the coordinator's thread.
            name: of the study, unique within the pool. By default a new one.
            space: its hyperparameters, as ``describe_study`` of the control server takes them.
            directions: how the numbers that its objective returns are optimized, likewise.

        Raises:
            PoolClosedError: outside of the ``with`` block.
        """
        coordinator, name = self._opened(), self._names.new(name)
        if self._control is not None:
            self._control.describe_study(name, space, directions)
        return coordinator.open_study(name, objective, recorder, self._alone)

    def check_evaluates(self) -> None:
        """Raise unless the pool can evaluate an objective on points from outside.

        Raises:
            RefusedError: if it has no control service.
        """
        if self._control is None:
            raise RefusedError(
                "an objective is evaluated from outside over the pool's control service, and this pool has"
                " none: open it with WorkerPool(control=True), or with control='host:port'"
            )

    def evaluate(self, spec: EvaluationSpec, name: str | None = None) -> Evaluation:
        """Have the workers evaluate an objective on the points that clients of the control service send.

        Args:
            spec: the objective, and how its arguments are made.
            name: of the study, unique within the pool. By default a new one.

        Raises:
            RefusedError: if the pool has no control service, or the name is not one or is taken.
            PoolClosedError: outside of the ``with`` block.
        """
        self.check_evaluates()
        assert self._control is not None
        return Evaluation(self._opened(), self._control, self._names.new(name), spec)

    def _opened(self) -> Coordinator:
        spark.check_forks("a pool of workers")
        if self._coordinator is None or self._closing:
            raise PoolClosedError(
                "the pool has no workers: it was closed, or has not been opened yet. Use it inside its"
                " `with WorkerPool(...)` block"
            )
        return self._coordinator

    def close(self) -> None:
        """Expel the workers and wait until their jobs have ended. Running trials are ended. Idempotent.

        After an interrupt the jobs are cancelled at once, and after another it returns before they have
        ended. It has no effect in a process that was forked from the pool's own.
        """
        if self._coordinator is None or forks.is_child():
            self._closing = True
            return
        try:
            self._end.finish()
        except BaseException:
            self.begin_to_close()
            self._cancellation.begin()
            self._end.finish()
            raise

    def begin_to_close(self) -> None:
        """Close the pool in the background."""
        if self._coordinator is not None and not forks.is_child():
            self._end.begin()

    def _send_away(self) -> None:
        with self._lock:
            self._closing = True
            self._leaving.set()
        gangs = self._launches.all()
        coordinator = self._coordinator
        assert coordinator is not None
        try:
            # The server stays up meanwhile: a worker that is only just starting is sent away when it joins.
            coordinator.expel_all()
            for gang in gangs:
                if not has_left(gang, coordinator, lambda: self._hurries):
                    gang.cancel(_CANCEL_SECONDS)
        finally:
            if self._control is not None:
                self._control.delist()
            for each in self._watches:
                each.stop()
            coordinator.close()
            _LOG.info("pool closed")

    def _cancel_jobs(self) -> None:
        for gang in self._launches.all():
            gang.cancel(_CANCEL_SECONDS)

    def _offer_slots(self, room: int) -> None:
        """Spark has slots for ``room`` more workers."""
        coordinator = self._coordinator
        assert coordinator is not None

        def grow() -> None:
            added = coordinator.machine.growth(room, coordinator.now())
            if not added:
                return
            for size in self._launcher.gangs(added):
                number = len(coordinator.machine.gangs)
                _LOG.info("gang added", gang=number, size=size, room=room)
                coordinator.step(events.GangLaunched(number, size))
                self._launch(number, 1, size)
            self.parallelism = min(self.max_parallelism, max(self.parallelism, self._launches.slots))

        coordinator.post(grow)

    def _endpoint_for(self, gang: int) -> Endpoint:
        """Returns the address at which a gang's workers find the coordinator. Tests put a line in between."""
        return self._endpoint

    def _launch(self, number: int, generation: int, size: int) -> None:
        endpoint = self._endpoint_for(number)
        spec = WorkerSpec(
            endpoint,
            number,
            generation,
            self._heartbeat,
            self._policy.grace,
            log_level=_WORKERS_LOG.level,
        )

        def ended(end: JobEnd) -> None:
            _LOG.info("gang's job ended", gang=number, generation=generation, reason=end.reason)
            coordinator = self._coordinator
            if self._closing or coordinator is None:
                return
            if end.wanted:
                # Spark has only asked the tasks to stop: it is the coordinator that sends the workers away.
                self._hurries = True
                self._cancelled = PoolCancelledError(
                    f"the workers are gone: {end.reason}. Finished trials are kept; fmin with"
                    " the same trials goes on from them."
                )
                coordinator.expel_all(self._cancelled)

            def tell() -> None:
                lost = coordinator.identities.in_slots(number, end.slots)
                coordinator.step(events.GangEnded(number, generation, end.reason, lost, end.preempted))

            coordinator.post(tell)

        def room() -> int | None:
            taken = partial(self._launches.slots_beside, number)
            found = self._launcher.room(size, generation, taken, self._policy.start, self._leaving)
            if self._before_launch is not None:
                self._before_launch()
            return found

        def progressed() -> None:
            self._tell(events.GangProgressed(number, generation))

        gang = Gang(
            self.session,
            spec,
            self._launcher,
            size,
            room,
            self._broadcasts,
            self._inherit,
            self._look_seconds,
            progressed,
            ended,
        )
        with self._lock:
            if self._closing:
                return
            _LOG.info("gang launched", gang=number, generation=generation, size=size, tag=gang.tag)
            self._launches.add(gang)
            gang.launch()

    def _tell(self, event: events.Event) -> None:
        if self._coordinator is not None:
            self._coordinator.post_event(event)

    def _explain(self, reason: str, joined: bool) -> PoolError:
        self._hurries = True  # its workers have been waited for long enough
        if joined:
            return PoolLostError(f"the pool has lost its workers: {reason}. Finished trials are kept.")
        gangs, address = self._launches.all(), self._endpoint.address
        return PoolStartError(self._launcher.explain(reason, self.parallelism, address, gangs))
