"""A running search in a cell of a notebook, and the line that stays of it.

study ── what becomes of its trials ──▶ SearchCell ── draw ──▶ LiveOutput
└── ended(line) ──▶ the line in the bar's place
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from sparkopt.core.states import Outcome
from sparkopt.notebook import markup
from sparkopt.notebook.cell_output import Drawing, LiveOutput
from sparkopt.study.listener import Listener

if TYPE_CHECKING:
    from sparkopt.coordinator import StudyChannel
    from sparkopt.study.failures import Failures
    from sparkopt.study.trial_record import TrialRecord
    from sparkopt.wire.value_series import ValueSeries

_VALUES: Final = 8
"""Most running trials whose values are shown."""


class SearchCell(Listener):
    """Shows a search in the cell that runs it. Told in the study's thread, drawn in another.

    Args:
        done: how many trials have finished before.
        total: how many there will be with these; :data:`sys.maxsize` or more if there is no end to them.
        failures: of the study.
        workers: how many workers there are to be.
        best_loss: returns the best loss so far; None if there is none.
        deadline: when the search ends at the latest, on the monotonic clock; None for never.
    """

    def __init__(
        self,
        done: int,
        total: int,
        failures: Failures,
        workers: int,
        best_loss: Callable[[], float | None],
        deadline: float | None = None,
    ) -> None:
        self._done, self._total = done, total
        self._failures = failures
        self._workers = workers
        self._best_loss = best_loss
        self._deadline = deadline
        self._began = time.monotonic()
        self._first: float | None = None
        self._finished = self._pruned = self._present = 0
        self._running: dict[int, str] = {}
        self._wait = ""
        self._ending: Drawing | None = None
        self._output = LiveOutput(self._draw)

    @property
    def output(self) -> LiveOutput:
        """The output of the cell."""
        return self._output

    @contextmanager
    def shown(self) -> Iterator[SearchCell]:
        """Follow the search for as long as it runs."""
        with self._output:
            yield self

    def waits_for(self, text: str) -> None:
        """Show what is still waited for once the search has ended."""
        self._wait = text
        self._output.show()

    def ended(self, line: str) -> None:
        """Leave a line in the place of the bar."""
        self._ending = Drawing(markup.block(markup.escaped(line)), line)
        self._output.show()

    # What the study tells.

    def opened(self, channel: StudyChannel) -> None:
        """Trials come next."""
        self._began = time.monotonic()

    def workers(self, present: int) -> None:
        """Count workers."""
        self._present = present

    def asked(self, count: int) -> None:
        """Have the bar go further."""
        self._total += count

    def started(self, record: TrialRecord) -> None:
        """Count a running trial."""
        if self._first is None:
            self._first = time.monotonic()
        self._running[record.tid] = ""

    def reported(self, record: TrialRecord, values: ValueSeries) -> None:
        """Show a running trial's last value."""
        step, value = values.steps[-1], values.values[-1]
        self._running[record.tid] = f"{markup.number(value)} at step {step}"

    def settled(self, record: TrialRecord) -> None:
        """Count a trial by its end."""
        self._running.pop(record.tid, None)
        if record.outcome is not Outcome.CANCELLED:
            self._finished += 1
            self._pruned += record.outcome is Outcome.PRUNED

    # What is shown.

    def _draw(self) -> Drawing:
        if self._ending is not None:
            return self._ending
        failed, pruned, best = self._failures.count, self._pruned, self._best_loss()
        running = list(self._running.items())
        done = self._done + self._finished
        counts = [
            f"{done:,} of {self._total:,} trials" if self._has_end else markup.counted(done, "trial"),
            f"{len(running)} running" if running else "",
            "" if best is None else f"best loss {markup.number(best)}",
        ]
        ends = [f"{failed:,} failed" if failed else "", f"{pruned:,} pruned" if pruned else ""]
        rest = [self._staff(), self._time(done), self._wait]
        values = [f"trial {tid}: {value}" for tid, value in running if value]
        if len(values) > _VALUES:
            values = [*values[:_VALUES], f"{len(values) - _VALUES} more"]
        bar = ""
        if self._has_end and self._total:
            good = max(0, done - failed - pruned)
            parts = [(good, markup.BLUE), (pruned, markup.AMBER), (failed, markup.RED)]
            bar = markup.bar(parts, max(self._total, good + pruned + failed))
        return Drawing(
            markup.block(
                bar,
                markup.listed(
                    [
                        markup.strong(counts[0]),
                        *map(markup.escaped, counts[1:]),
                        markup.coloured(ends[0], markup.RED) if failed else "",
                        markup.coloured(ends[1], markup.AMBER) if pruned else "",
                        *map(markup.quiet, filter(None, rest)),
                    ]
                ),
                markup.listed(map(markup.quiet, values)),
            ),
            ", ".join(filter(None, [*counts, *ends, *rest, *values])),
        )

    @property
    def _has_end(self) -> bool:
        return self._total < sys.maxsize

    def _staff(self) -> str:
        if self._present >= self._workers:
            return ""
        count = f"{self._present} of {self._workers}"
        return f"starting workers: {count}" if self._first is None else f"{count} workers"

    def _time(self, done: int) -> str:
        now = time.monotonic()
        elapsed = markup.duration(now - self._began)
        if not self._finished or self._first is None or done == self._total:
            return elapsed
        left = float("inf")
        if self._has_end:
            left = (now - self._first) * (self._total - done) / self._finished
        if self._deadline is not None:
            left = min(left, self._deadline - now)
        return elapsed if left == float("inf") else f"{elapsed}, about {markup.duration(left)} left"
