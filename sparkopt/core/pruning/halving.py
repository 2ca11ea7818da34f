"""Pruner that keeps the best third, say, of the trials at steps that lie ever further apart."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence

from sparkopt.core.pruning.sorted_values import SortedValues
from sparkopt.core.states import Outcome


def rungs(first: int, end: int, factor: int) -> list[int]:
    """The steps ``first``, ``first * factor``, ``first * factor ** 2`` and so on below ``end``."""
    found = []
    while first < end:
        found.append(first)
        first *= factor
    return found


class HalvingPruner:
    """Asynchronous successive halving, in the variant that stops trials instead of pausing them.

    At each rung, a step, a trial goes on if its value is among the best ``1 / factor`` of those that have
    come there so far, itself included; as long as these are fewer than ``factor``, if it is the best. A trial
    that reports no value at a rung is judged by its first one after it. One that has passed several rungs
    meanwhile is judged at the last of them alone.

    From L. Li et al., "A System for Massively Parallel Hyperparameter Tuning" (MLSys 2020), section 3; that
    trials which are not promoted end is from A. Klein et al., "Model-based Asynchronous Hyperparameter and
    Neural Architecture Search" (2020). With a report for each step it decides as Optuna's
    ``SuccessiveHalvingPruner``, which has no last step.

    Args:
        steps: of the rungs, ascending.
        factor: a trial in so many goes on.
    """

    def __init__(self, steps: Sequence[int], factor: int) -> None:
        self._steps = steps
        self._factor = factor
        self._values = [SortedValues() for _ in steps]
        self._judged: dict[int, dict[int, tuple[int, float]]] = {}
        """For each trial that runs, the step and value by which it was judged at each rung."""

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Return whether the trial is to stop."""
        rung = bisect_right(self._steps, step) - 1
        if rung < 0:
            return False
        judged = self._judged.setdefault(tid, {})
        values = self._values[rung]
        before = judged.get(rung)
        if before is not None:
            if step > before[0]:
                return False
            if not math.isnan(before[1]):
                values.remove(before[1])
        judged[rung] = step, value
        if math.isnan(value):
            return True
        values.add(value)
        return value > values.smallest(max(1, len(values) // self._factor))

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended. Its values stay, however it did."""
        self._judged.pop(tid, None)
