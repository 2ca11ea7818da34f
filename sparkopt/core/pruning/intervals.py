"""Intervals of steps. Of each interval the first report of a trial is judged."""

from __future__ import annotations

from typing import Final

WARMUP: Final = -1
"""Number of the interval of all steps before the first that is judged."""


class Intervals:
    """Division of steps into intervals of one length, numbered from 0, after a warm-up.

    Args:
        warmup: first step of interval 0.
        length: steps in each.
    """

    __slots__ = ("_length", "_warmup")

    def __init__(self, warmup: int, length: int) -> None:
        self._warmup = warmup
        self._length = length

    def of(self, step: int) -> int:
        """Number of a step's interval; :data:`WARMUP` before the first."""
        since = step - self._warmup
        return WARMUP if since < 0 else since // self._length

    def double(self) -> None:
        """Have each two intervals, 0 and 1 to begin with, be one from now on."""
        self._length *= 2


def doubled(interval: int) -> int:
    """The number that an interval has once the intervals were made twice as long."""
    return WARMUP if interval == WARMUP else interval // 2
