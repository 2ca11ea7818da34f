"""Background work that runs to its end even if the thread that waits is interrupted, as by Ctrl-C."""

from __future__ import annotations

import threading
from collections.abc import Callable


class BackgroundWork:
    """Something to be done once, in a thread of its own.

    The interpreter does not exit before it is done.

    Args:
        work: what to do.
        name: the thread's.
    """

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._error: BaseException | None = None
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, name=name)

    def begin(self) -> None:
        """Begin, unless it has begun. An interrupt here may leave that to the next call."""
        with self._lock:
            if self._thread.ident is None:
                self._thread.start()

    def finish(self) -> None:
        """Begin if need be, and wait for its end. An interrupt ends the wait alone.

        Raises:
            Exception: what the work has raised.
        """
        self.begin()
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - for whoever waits
            self._error = error
