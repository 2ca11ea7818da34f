"""Progress of a study on a bar of text, such as tqdm's."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, Protocol

from sparkopt.core.states import Outcome
from sparkopt.study.listener import Listener

if TYPE_CHECKING:
    from sparkopt.coordinator import StudyChannel
    from sparkopt.study.failures import Failures
    from sparkopt.study.trial_record import TrialRecord
    from sparkopt.wire.value_series import ValueSeries

_VALUES: Final = 3
"""Most running trials whose values are on the bar."""

_VALUES_SECONDS: Final = 0.25
"""Least seconds between two drawings of the bar for the sake of values."""


class Bar(Protocol):
    """A progress bar, such as tqdm's.

    One that has ``refresh`` as well also shows the workers that start; one that has ``total`` follows it.
    """

    postfix: Any

    def update(self, n: int) -> Any:
        """Count finished trials."""


class ProgressListener(Listener):
    """Shows finished trials on a bar, and the last values that running ones have reported.

    Args:
        bar: the bar.
        failures: of the study.
        workers: how many workers there are to be.
        best_loss: returns the best loss so far; None if there is none.
        elastic: whether workers come and go with executors.
    """

    def __init__(
        self,
        bar: Bar,
        failures: Failures,
        workers: int,
        best_loss: Callable[[], float | None],
        *,
        elastic: bool = False,
    ) -> None:
        self._bar = bar
        self._failures = failures
        self._workers = workers
        self._best_loss = best_loss
        self._elastic = elastic
        self._present = 0
        self._refresh: Callable[[], object] | None = getattr(bar, "refresh", None)
        self._starting = self._refresh is not None
        self._pruned = 0
        self._values: dict[int, float] = {}
        self._values_due = 0.0

    def opened(self, channel: StudyChannel) -> None:
        """Show that workers start."""
        self.workers(0)

    def workers(self, present: int) -> None:
        """Show the number of workers that have started, until all have or there is a result to show.

        That of workers which come and go is shown as long as it is not that of all.
        """
        self._present = present
        if self._refresh is None or not (self._starting or self._elastic):
            return
        if not self._starting:
            self._show_best()
        elif present < self._workers:
            count = f"{present} of {self._workers}"
            waiting = f"{count} workers, waiting for executors"
            self._bar.postfix = waiting if self._elastic else f"starting workers: {count}"
        else:
            self._starting = False
            self._show_best()
        self._refresh()

    def asked(self, count: int) -> None:
        """Have the bar go further."""
        total = getattr(self._bar, "total", None)
        if total is not None:
            self._bar.total = total + count  # type: ignore[attr-defined]  # those bars that have one

    def reported(self, record: TrialRecord, values: ValueSeries) -> None:
        """Show a running trial's last value, a few times a second at most."""
        self._values[record.tid] = values.values[-1]
        now = time.monotonic()
        if self._refresh is None or now < self._values_due:
            return
        self._values_due = now + _VALUES_SECONDS
        self._starting = False
        self._show_best()
        self._refresh()

    def settled(self, record: TrialRecord) -> None:
        """Show a trial, unless it was cancelled."""
        if self._values:
            self._values.pop(record.tid, None)
        if record.outcome is not Outcome.CANCELLED:
            self._pruned += record.outcome is Outcome.PRUNED
            if self._starting or self._best_loss() is not None or self._failures.count or self._pruned:
                self._starting = False
                self._show_best()
            self._bar.update(1)

    def _show_best(self) -> None:
        best, failed = self._best_loss(), self._failures.count
        failures = f", {failed} failed" if failed else ""
        pruned = f", {self._pruned} pruned" if self._pruned else ""
        fewer = self._elastic and self._present < self._workers
        workers = f", {self._present} of {self._workers} workers" if fewer else ""
        values = self._last_values() if self._values else ""
        self._bar.postfix = f"best loss: {'?' if best is None else best}{failures}{pruned}{workers}{values}"

    def _last_values(self) -> str:
        shown = [f"trial {tid} at {value:.6g}" for tid, value in self._values.items()]
        more = [f"{len(shown) - _VALUES} more"] if len(shown) > _VALUES else []
        return "".join(f", {each}" for each in [*shown[:_VALUES], *more])
