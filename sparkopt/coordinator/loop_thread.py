"""Thread with an asyncio loop, to which other threads hand work.

The loop is uvloop's: a trial takes it and the worker's through a dozen turns each, and asyncio's own takes
twice as long for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Thread
from typing import Any, TypeVar

import uvloop

from sparkopt.wire import forks

T = TypeVar("T")


class LoopThread:
    """A daemon thread that runs one coroutine, and everything that is posted meanwhile.

    Args:
        name: of the thread.
        main: makes the coroutine; the thread ends when it is done.

    Attributes:
        loop: the thread's loop.
    """

    def __init__(self, name: str, main: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._main = main
        self._thread = Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def is_alive(self) -> bool:
        """Returns whether the thread runs."""
        return self._thread.is_alive()

    def post(self, action: Callable[[], None]) -> bool:
        """Have the thread call something soon. From any thread.

        Returns:
            Whether there is still a thread to do so.
        """
        if forks.is_child():
            return False  # The thread is its parent's, and so is what would wake the loop.
        try:
            self.loop.call_soon_threadsafe(action)
        except RuntimeError:  # the loop is closed: asyncio has no exception of its own for it
            return False
        return True

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the thread run a coroutine, and wait for what it returns or raises. From another thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def join(self) -> None:
        """Wait until the thread has ended, and close its loop. From another thread. Idempotent."""
        if self._thread.is_alive():
            self._thread.join()
        self.loop.close()  # done already, unless the thread never started

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._main())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
