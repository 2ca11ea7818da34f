"""Intermediate values of running trials on their way to MLflow, gathered so that each logs once a second."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from sparkopt.wire.value_series import ValueSeries

if TYPE_CHECKING:
    from sparkopt.tracking.run_records import Metric

VALUE: Final = "intermediate_value"
"""Name of the metric."""

_SECONDS: Final = 1.0
"""Least seconds between two records of a trial's values, except before the last."""


@dataclass(slots=True)
class _Waiting:
    """Values of a trial that are not recorded yet, and when the last were, on the monotonic clock."""

    series: ValueSeries = field(default_factory=ValueSeries)
    last: float = float("-inf")


class ReportedValues:
    """Values by their trials. Used from the study's thread."""

    def __init__(self) -> None:
        self._trials: dict[int, _Waiting] = {}

    def add(self, tid: int, values: ValueSeries) -> list[Metric]:
        """Take values in, and return the metrics to record now: none within a second of the last."""
        waiting = self._trials.setdefault(tid, _Waiting())
        waiting.series.extend(values.steps, values.values)
        now = time.monotonic()
        if now - waiting.last < _SECONDS:
            return []
        waiting.last = now
        series, waiting.series = waiting.series, ValueSeries()
        return _metrics(series, int(time.time() * 1000))

    def end(self, tid: int, settled: int) -> list[Metric]:
        """Forget a trial that has settled, and return the metrics that are left to record.

        Args:
            tid: its number.
            settled: when it has settled, in milliseconds since the epoch.
        """
        waiting = self._trials.pop(tid, None)
        return [] if waiting is None else _metrics(waiting.series, settled)


def _metrics(series: ValueSeries, when: int) -> list[Metric]:
    return [(VALUE, value, when, step) for step, value in series]
