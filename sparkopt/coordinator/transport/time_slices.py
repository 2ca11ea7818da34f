"""Work that grows with a request, done so that the loop it runs on stays free for others.

Slices of a few milliseconds, in turns with everything else on the loop; and one request after another, so
that many of them hold nobody up for longer than one does.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final, ParamSpec, TypeVar

T = TypeVar("T")
P = ParamSpec("P")

SLICE_SECONDS: Final = 0.005
"""Approximate length of a slice, in seconds."""


class TimeSlice:
    """The current slice."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    async def breathe(self) -> None:
        """If the slice is long enough by now, let others have their turn. Never waits for anything."""
        if time.monotonic() - self._began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            self._began = time.monotonic()


class TimeSlices:
    """Time of one loop for long work, which is done one request's after another's."""

    def __init__(self) -> None:
        self._lock = asyncio.Lock()

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[TimeSlice]:
        """Wait for the others, and begin; the block says between its steps where it may be interrupted.

        Example:
            >>> async with time_slices.begin() as time_slice:
            ...     for point in points:
            ...         values.append(values_of(point))
            ...         await time_slice.breathe()
        """
        async with self._lock:
            yield TimeSlice()

    async def in_thread(self, function: Callable[P, T], *arguments: P.args, **keywords: P.kwargs) -> T:
        """Wait for other long work, then run a function that cannot be cut into slices in another thread.

        Args:
            function: the function, which uses nothing but its arguments.
            arguments: its own.
            keywords: its own.
        """
        async with self._lock:
            return await asyncio.to_thread(function, *arguments, **keywords)
