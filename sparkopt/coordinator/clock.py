"""The time that the coordinator holds against its workers, and what rings at a moment of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class FairClock:
    """Shows the seconds in which the coordinator could listen, on a clock that never goes back.

    A driver that was stopped, or whose interpreter C code would not let go of, has not read what its workers
    said meanwhile: when it goes on they must not all be lost. So the clock looks up at each beat, and counts
    two beats at most from one look to the next. It goes on even if the driver is stopped again and again.

    Args:
        loop: the event loop that tells the time.
        beat: seconds.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, beat: float) -> None:
        self._loop = loop
        self._beat = beat
        self._looked = loop.time()
        self._now = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look up."""
        self.now()
        self._timer = self._loop.call_later(self._beat, self.start)

    def stop(self) -> None:
        """Look up no longer."""
        if self._timer is not None:
            self._timer.cancel()

    def now(self) -> float:
        """Time on this clock, in seconds."""
        time = self._loop.time()
        self._now += min(time - self._looked, 2 * self._beat)
        self._looked = time
        return self._now

    def loop_time(self, moment: float) -> float:
        """Time on the loop's clock at a moment of this one, unless the driver is stopped again."""
        return self._looked + moment - self._now


class Alarm:
    """Calls a function once, at the earliest of the moments that it was set to. On the loop only.

    It keeps the moment itself: a handle of uvloop's does not tell it if less than half a millisecond is left.

    Args:
        loop: tells the time.
        ring: the function.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        self._loop = loop
        self._ring = ring
        self._handle: asyncio.TimerHandle | None = None
        self._moment = 0.0

    def set(self, moment: float) -> None:
        """Ring at a moment on the loop's clock, or as soon as may be if that is over."""
        if self._handle is not None:
            if moment >= self._moment:
                return
            self._handle.cancel()
        self._handle, self._moment = self._loop.call_at(moment, self._go_off), moment

    def stop(self) -> None:
        """Do not ring, unless it is set again."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _go_off(self) -> None:
        self._handle = None
        self._ring()
