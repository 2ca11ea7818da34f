"""Thread with an asyncio loop, to which other threads hand work.

The loop is uvloop's: a trial takes it and the worker's through a dozen turns each, and asyncio's own takes
twice as long for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from threading import Event, Thread
from typing import Any, Final, TypeVar

import uvloop

from sparkopt.wire import forks

T = TypeVar("T")

_STUCK_SECONDS: Final = 10.0
"""Seconds after which a call that keeps the thread is one that may never return."""


class LoopThread:
    """A daemon thread that runs one coroutine, and everything that is posted meanwhile.

    Args:
        name: of the thread.
        main: makes the coroutine; the thread ends when it is done.
        failed: called in the thread with what an action has raised that was posted, and the action's name.

    Attributes:
        loop: the thread's loop.
    """

    def __init__(
        self,
        name: str,
        main: Callable[[], Coroutine[Any, Any, None]],
        failed: Callable[[Exception, str], None],
    ) -> None:
        self.loop: asyncio.AbstractEventLoop = uvloop.new_event_loop()
        self._main, self._failed = main, failed
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
            self.loop.call_soon_threadsafe(self._do, action)
        except RuntimeError:  # the loop is closed: asyncio has no exception of its own for it
            return False
        return True

    def call(self, work: Coroutine[Any, Any, T]) -> T:
        """Have the thread run a coroutine, and wait for what it returns or raises. From another thread."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def join(self) -> bool:
        """Wait until the thread has ended, and close its loop. From another thread. Idempotent.

        Returns:
            False if the thread is in a call that does not return. It is left behind then, and ends once the
            call has returned, or with the process.
        """
        while self._thread.is_alive():
            turned = Event()
            self.post(turned.set)
            self._thread.join(_STUCK_SECONDS)
            if self._thread.is_alive() and not turned.is_set():
                return False
        self.loop.close()  # done already, unless the thread never started
        return True

    def _do(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            self._failed(error, getattr(action, "__qualname__", "an action"))
            raise

    def _run(self) -> None:
        asyncio.set_event_loop(self.loop)
        try:
            self.loop.run_until_complete(self._main())
            self.loop.run_until_complete(self.loop.shutdown_asyncgens())
            self.loop.run_until_complete(self.loop.shutdown_default_executor())
        finally:
            asyncio.set_event_loop(None)
            self.loop.close()
