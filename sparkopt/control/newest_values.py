"""Newest intermediate values of trials, handed on to clients at a rate that they can follow.

a trial's values ──▶ put ──▶ the newest, at once or when a tenth of a second has passed ──▶ hand_on
                                                                   its end: at once
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

VALUE_SECONDS: Final = 0.1
"""Least seconds between two values of a trial."""


@dataclass(frozen=True, slots=True)
class NewestValue:
    """An intermediate value that a client may be told of.

    Attributes:
        attempt: the number of the attempt that has reported it.
        step: of the value.
        value: itself.
        time: when it came, in seconds since the epoch.
    """

    attempt: int
    step: int
    value: float
    time: float


@dataclass(slots=True)
class _Held:
    """Value of a trial that is held back, and since when the one before has been out, on the loop's clock."""

    newest: NewestValue
    last: float
    timer: asyncio.TimerHandle | None = None


class NewestValues(Generic[K]):
    """Paces the values of trials. On the coordinator's loop only.

    Args:
        hand_on: takes a trial's key and its newest value.
    """

    def __init__(self, hand_on: Callable[[K, NewestValue], None]) -> None:
        self._hand_on = hand_on
        self._held: dict[K, _Held] = {}

    def put(self, key: K, attempt: int, step: int, value: float) -> None:
        """Take in the newest value of a trial."""
        loop, newest = asyncio.get_running_loop(), NewestValue(attempt, step, value, time.time())
        held = self._held.get(key)
        if held is None:
            self._held[key] = _Held(newest, loop.time())
            self._hand_on(key, newest)
            return
        held.newest = newest
        if held.timer is None:
            due = held.last + VALUE_SECONDS
            if loop.time() >= due:
                self._release(key, held)
            else:
                held.timer = loop.call_at(due, self._release, key, held)

    def end(self, key: K) -> None:
        """A trial reports nothing more for now: hand on what is held back, and forget it."""
        held = self._held.pop(key, None)
        if held is not None and held.timer is not None:
            held.timer.cancel()
            self._hand_on(key, held.newest)

    def clear(self) -> None:
        """Hand nothing more on."""
        for held in self._held.values():
            if held.timer is not None:
                held.timer.cancel()
        self._held.clear()

    def _release(self, key: K, held: _Held) -> None:
        held.timer, held.last = None, asyncio.get_running_loop().time()
        self._hand_on(key, held.newest)
