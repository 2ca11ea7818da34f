"""Pruner that stops a trial whose value leaves given bounds."""

from __future__ import annotations

import math

from sparkopt.core.pruning.intervals import WARMUP, Intervals
from sparkopt.core.states import Outcome


class ThresholdPruner:
    """Stops a trial that reports a value out of bounds, or NaN.

    The rule is that of Optuna's ``ThresholdPruner``. It looks at the trial alone, and has nothing to learn.

    Args:
        lower: values below this stop a trial.
        upper: values above this do.
        warmup: first step that is judged.
        interval: of so many steps each, the first report is judged.
    """

    def __init__(self, lower: float, upper: float, warmup: int, interval: int) -> None:
        self._lower = lower
        self._upper = upper
        self._intervals = Intervals(warmup, interval)
        self._judged: dict[int, tuple[int, int]] = {}

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Return whether the trial is to stop."""
        interval = self._intervals.of(step)
        if interval == WARMUP:
            return False
        last_interval, first_step = self._judged.get(tid, (WARMUP, 0))
        if interval == last_interval and step > first_step:
            return False
        self._judged[tid] = interval, step
        return math.isnan(value) or not self._lower <= value <= self._upper

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended."""
        self._judged.pop(tid, None)
