"""Follower of one pool: lists its trials, then watches its events, in a thread of its own, until it ends.

    status, trials ──▶ Mirror, as they are now
    watch behind the status' last event ──▶ Mirror, what has changed since
    trials that run, once the watch stands ──▶ Mirror, with the intermediate values that the watch has not

What happens between the status and the list is told twice, and ends the same. A watch that has missed events
begins with the list again.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from sparkopt.client import (
    ControlClient,
    Event,
    Hyperparameter,
    HyperparameterKind,
    PoolStatus,
    StudyInfo,
    TrialInfo,
    TrialState,
    WorkerInfo,
)
from sparkopt.dashboard.mirror import Mirror
from sparkopt.errors import ControlError, EventsForgottenError, UnreachableError
from sparkopt.study.trial_description import Dimension, Kind
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("dashboard")

_FRESH_SECONDS: Final = 1.0
"""Seconds for which an answer of the service's is good enough for everybody who looks."""

_RUNNING: Final = (TrialState.LEASED, TrialState.PRUNING, TrialState.CANCELLING)

FOLLOWING: Final = "following"
CLOSED: Final = "closed"
LOST: Final = "lost"


@dataclass(frozen=True, slots=True)
class PoolView:
    """A pool as it was a moment ago.

    Attributes:
        status: of the pool.
        workers: that are not gone.
    """

    status: PoolStatus
    workers: tuple[WorkerInfo, ...]


class SearchFollower:
    """Follows one pool.

    Attributes:
        client: of its control service.
        address: of its control service.
        pool: the pool's unique name; empty before it has answered.
        state: :data:`FOLLOWING`, :data:`CLOSED` if the pool has ended, :data:`LOST` if it cannot be reached.
        trouble: why it is not followed any more; empty if it has ended as it should.

    Args:
        address: of the control service.
        client: of it; closed by :meth:`close`.
        mirror: where the trials go.
    """

    def __init__(self, address: str, client: ControlClient, mirror: Mirror) -> None:
        self.address = address
        self.client = client
        self.pool = ""
        self.state = FOLLOWING
        self.trouble = ""
        self._mirror = mirror
        self._closing = False
        self._stands = threading.Event()
        self._lock = threading.Lock()
        self._view: PoolView | None = None
        self._directions: dict[str, tuple[str, ...]] = {}
        self._asked = 0.0
        self._thread = threading.Thread(target=self._follow, name="sparkopt-dashboard", daemon=True)

    def start(self) -> None:
        """Begin.

        Raises:
            ControlError: if nobody answers, or the token is wrong.
        """
        self.pool = self.client.status().pool
        self._thread.start()

    def wait(self) -> None:
        """Wait until it hears of whatever happens in the pool, or has given up."""
        self._stands.wait()

    def view(self) -> PoolView | None:
        """The pool as it was a second ago at most, while it can be reached; None if it never answered."""
        with self._lock:
            now = time.monotonic()
            if self.state == FOLLOWING and now >= self._asked + _FRESH_SECONDS:
                try:
                    self._view = PoolView(self.client.status(), tuple(self.client.workers()))
                except ControlError as error:
                    _LOG.info("pool not asked", reason=str(error))
                self._asked = now
            return self._view

    def forget_view(self) -> None:
        """Have the next look ask the pool again: something was changed."""
        self._asked = 0.0

    def close(self) -> None:
        """End, from any thread. Idempotent."""
        self._closing = True
        self.client.close()
        if self._thread.is_alive():
            self._thread.join()

    def _list(self) -> PoolStatus:
        status = self.client.status()
        self.pool = status.pool
        self._note(status.studies)
        self._take_trials(self.client.trials(intermediate_values=True))
        return status

    def _take_trials(self, trials: Iterable[TrialInfo]) -> None:
        for trial in trials:
            self._add_study(trial.study)
            self._mirror.take(self.pool, trial)

    def _note(self, studies: Iterable[StudyInfo]) -> None:
        self._directions.update((study.name, tuple(study.directions)) for study in studies)

    def _follow(self) -> None:
        try:
            while True:
                try:
                    status = self._list()
                    with self.client.watch(status.last_event, values=True) as events:
                        self._take_trials(self.client.trials(states=_RUNNING, intermediate_values=True))
                        self._stands.set()
                        for event in events:
                            self._take(event)
                    break
                except EventsForgottenError:
                    continue
        except ControlError as error:
            if not self._closing:
                _LOG.info("search not followed any more", pool=self.pool, reason=str(error))
                self.state, self.trouble = LOST, str(error)
        if self.state == FOLLOWING:
            self.state = CLOSED
        self._stands.set()
        self._mirror.ended(self.pool)

    def _add_study(self, name: str) -> None:
        if self._mirror.knows(self.pool, name):
            return
        if name not in self._directions:  # opened after the status, and listed before the watch
            self._note(self.client.status().studies)
        try:
            space = self.client.space(name)
        except UnreachableError:
            raise
        except ControlError:  # the pool is of a version that does not know the call
            space = []
        dimensions = [dimension for each in space if (dimension := dimension_of(each)) is not None]
        by_index = frozenset(each.label for each in space if each.kind is HyperparameterKind.CHOICE)
        directions = self._directions.get(name) or ("minimize",)
        self._mirror.add_study(self.pool, name, dimensions, by_index, directions)

    def _take(self, event: Event) -> None:
        if event.trial is not None:
            self._add_study(event.trial.study)
            self._mirror.take(self.pool, event.trial)
        elif event.value is not None:
            self._mirror.report(self.pool, event.value)
        elif event.study is not None:
            self._note([event.study])


_KINDS: Final[dict[str, Kind]] = {
    HyperparameterKind.FLOAT: "float",
    HyperparameterKind.INT: "int",
    HyperparameterKind.CHOICE: "choice",
}


def dimension_of(told: Hyperparameter) -> Dimension | None:
    """A hyperparameter as plots take it; None if nothing is known of its kind, or of its bounds."""
    kind = _KINDS.get(told.kind)
    if kind is None or (kind != "choice" and (told.low is None or told.high is None)):
        return None
    low, high = (-math.inf if told.low is None else told.low), (math.inf if told.high is None else told.high)
    return Dimension(told.label, kind, low, high, told.step, told.logarithmic, told.options)
