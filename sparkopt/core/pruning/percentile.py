"""Pruner that compares a trial with a percentile of the finished ones at the same step.

report ──▶ curve of its trial ── the trial ends well ──▶ values of finished trials, by interval
                └── best so far ──── worse? ────▶ their percentile
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from sparkopt.core.pruning.intervals import WARMUP, Intervals, doubled
from sparkopt.core.pruning.sorted_values import SortedValues
from sparkopt.core.states import Outcome

MOST_INTERVALS: Final = 512
"""Most intervals of steps that are told apart in a trial."""


class PercentilePruner:
    """Stops a trial whose best value so far is worse than a percentile of the finished trials at that step.

    The 50th percentile makes it the median rule. D. Golovin et al., "Google Vizier: A Service for Black-Box
    Optimization" (KDD 2017), section 3.2.2, compare with the median of the others' running averages; this
    one, which compares with the values at the step itself, is that of Optuna's ``PercentilePruner``, and
    decides alike where trials report at the same steps. A trial whose values are all NaN stops.

    Memory is bounded in the number of steps: a trial that reports in more than :data:`MOST_INTERVALS`
    intervals makes the intervals of all trials twice as long.

    Args:
        percent: of the finished trials that are at least as good as one that goes on.
        warmup: first step that is judged. What was reported before counts for a trial's best value.
        interval: of so many steps each, the first report is judged, and is what others are compared with.
        min_trials: nothing stops before so many trials have finished.
    """

    def __init__(self, percent: float, warmup: int, interval: int, min_trials: int) -> None:
        self._percent = percent
        self._min_trials = max(1, min_trials)
        self._intervals = Intervals(warmup, interval)
        self._curves: dict[int, _Curve] = {}
        self._finished: dict[int, SortedValues] = {}
        self._count = 0

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Return whether the trial is to stop."""
        curve = self._curves.get(tid)
        if curve is None:
            curve = self._curves[tid] = _Curve()
        interval = self._intervals.of(step)
        is_first, best = curve.add(interval, step, value)
        while len(curve) > MOST_INTERVALS:
            self._double()
            interval = doubled(interval)
        if interval == WARMUP or not is_first or self._count < self._min_trials:
            return False
        if math.isnan(best):
            return True
        others = self._finished.get(interval)
        return others is not None and best > others.percentile(self._percent)

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended; others are compared with it if it ended well."""
        curve = self._curves.pop(tid, None)
        if outcome is not Outcome.OK:
            return
        self._count += 1
        if curve is None:
            return
        for interval, value in curve.firsts():
            if interval != WARMUP and not math.isnan(value):
                self._finished.setdefault(interval, SortedValues()).add(value)
        while len(self._finished) > MOST_INTERVALS:
            self._double()

    def _double(self) -> None:
        self._intervals.double()
        for curve in self._curves.values():
            curve.double()
        finished: dict[int, SortedValues] = {}
        for interval in sorted(self._finished):
            finished.setdefault(doubled(interval), self._finished[interval])
        self._finished = finished


@dataclass(slots=True)
class _Part:
    """A trial's reports in one interval.

    Attributes:
        interval: its number.
        step: the first.
        first: its value.
        best: the best value of all in the interval.
        so_far: the best value of this interval and those before.
    """

    interval: int
    step: int
    first: float
    best: float
    so_far: float = math.nan


class _Curve:
    """Reports of one trial, by intervals of steps."""

    __slots__ = ("_parts",)

    def __init__(self) -> None:
        self._parts: list[_Part] = []

    def __len__(self) -> int:
        return len(self._parts)

    def add(self, interval: int, step: int, value: float) -> tuple[bool, float]:
        """Take a report in.

        Returns:
            Whether it is the first of its interval, and the best value up to there.
        """
        parts = self._parts
        at = len(parts)
        if at and interval <= parts[-1].interval:
            at = bisect_left(parts, interval, key=_interval)
        if at == len(parts) or parts[at].interval != interval:
            parts.insert(at, _Part(interval, step, value, value))
            is_first = True
        else:
            part = parts[at]
            is_first = step <= part.step
            if is_first:
                part.step, part.first, part.best = step, value, value
            else:
                part.best = _better(part.best, value)
        self._sum_up(at)
        return is_first, parts[at].so_far

    def _sum_up(self, at: int) -> None:
        """Bring the best values so far up to date, from the interval on that has changed."""
        parts = self._parts
        best = parts[at - 1].so_far if at else math.nan
        for place in range(at, len(parts)):
            part = parts[place]
            best = _better(best, part.best)
            if place > at and best == part.so_far:
                return
            part.so_far = best

    def firsts(self) -> Iterator[tuple[int, float]]:
        """Each interval with its first value."""
        return ((part.interval, part.first) for part in self._parts)

    def double(self) -> None:
        """Have each two intervals be one."""
        before, self._parts = self._parts, []
        for part in before:
            part.interval = doubled(part.interval)
            if self._parts and self._parts[-1].interval == part.interval:
                merged = self._parts[-1]
                merged.best, merged.so_far = _better(merged.best, part.best), part.so_far
            else:
                self._parts.append(part)


def _interval(part: _Part) -> int:
    return part.interval


def _better(one: float, other: float) -> float:
    """The smaller of two values; the other one if one of them is NaN."""
    return other if other < one or math.isnan(one) else one
