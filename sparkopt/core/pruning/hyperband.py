"""Pruner that runs successive halving several times side by side, each time with another first rung."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Final

from sparkopt.core.pruning.halving import HalvingPruner, rungs
from sparkopt.core.states import Outcome

_GOLDEN: Final = 2654435769
"""The golden ratio's part after the point, times 2 ** 32; its multiples lie as evenly as may be."""


class HyperbandPruner:
    """Hyperband's brackets of asynchronous successive halving.

    The first bracket has every rung, the next one all but the first, and so on; the last one has one rung, or
    none if the last step would be one. So a search whose early values say little of the late ones loses less
    than by halving alone, and saves less.

    From L. Li et al., "Hyperband: A Novel Bandit-Based Approach to Hyperparameter Optimization" (JMLR 18,
    2018), algorithm 1: the brackets, and how many trials each gets relative to the others. A trial's
    bracket follows from its number, so that it is the same in a search that goes on.

    Args:
        first: step of the first rung.
        end: of the last step of a trial, which is not a rung.
        factor: a trial in so many goes on at each rung.
    """

    def __init__(self, first: int, end: int, factor: int) -> None:
        steps = rungs(first, end + 1, factor)
        self.brackets: Sequence[HalvingPruner] = [
            HalvingPruner([step for step in steps[skipped:] if step < end], factor)
            for skipped in range(len(steps))
        ]
        self._parts = list(accumulate(_sizes(len(steps), factor)))

    def bracket_of(self, tid: int) -> int:
        """The number of the bracket that a trial belongs to, from 0."""
        place = (tid * _GOLDEN) % 2**32
        return bisect_right(self._parts, place * self._parts[-1] >> 32)

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Return whether the trial is to stop."""
        return self.brackets[self.bracket_of(tid)].reported(tid, step, value)

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended."""
        self.brackets[self.bracket_of(tid)].settled(tid, outcome)


def _sizes(brackets: int, factor: int) -> list[int]:
    """Returns how many trials each bracket gets, relative to the others."""
    return [-(-brackets * factor**last // (last + 1)) for last in reversed(range(brackets))]
