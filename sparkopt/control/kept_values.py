"""Intermediate values that a pool's trials have reported, kept for clients that come later."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final, Generic, TypeVar

from sparkopt.wire.value_series import ValueSeries

K = TypeVar("K", bound=Hashable)

MOST_KEPT: Final = 4_000_000
"""Most values that are kept, at 16 bytes each, besides those of running trials."""


class KeptValues(Generic[K]):
    """Values of trials by the trials' keys, in bounded memory. On the coordinator's loop only.

    Args:
        most: number of values above which those of the trials that have settled first are forgotten.
    """

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._running: dict[K, tuple[int, ValueSeries]] = {}
        self._settled: dict[K, ValueSeries] = {}
        self._count = 0

    def add(self, key: K, attempt: int, steps: Sequence[int], values: Sequence[float]) -> None:
        """Take in values of a trial that runs.

        A later attempt's replace an earlier one's from its first step on.

        Args:
            key: of the trial.
            attempt: number of the attempt that reports.
            steps: at least one.
            values: as many as there are steps.
        """
        before, series = self._running.get(key) or (attempt, ValueSeries())
        if attempt != before:
            series = series.before(steps[0])
        series.extend(steps, values)
        self._running[key] = attempt, series

    def settle(self, key: K) -> None:
        """A trial reports nothing more."""
        kept = self._running.pop(key, None)
        if kept is None:
            return
        self._settled[key] = kept[1]
        self._count += len(kept[1])
        while self._count > self._most:
            oldest = next(iter(self._settled))
            self._count -= len(self._settled.pop(oldest))

    def of(self, key: K) -> ValueSeries | None:
        """Values of a trial; None if it has reported none, or they are forgotten."""
        running = self._running.get(key)
        return self._settled.get(key) if running is None else running[1]
