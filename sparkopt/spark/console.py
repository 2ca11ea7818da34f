"""Spark's own progress bar on the terminal, which would cross another one."""

from __future__ import annotations

import contextlib
from types import TracebackType
from typing import Any, Final

from sparkopt.spark.session import Session, is_connect

_NEVER: Final = 2**62
"""A time in milliseconds that is not reached."""


class ConsoleProgress:
    """Spark's progress bar, to be hidden until a ``with`` block is left.

    A classic session draws one for each stage that has run for more than half a second, unless
    ``spark.ui.showConsoleProgress`` is false. That of a gang would stand still for as long as a search lasts,
    on the line of the search's own bar. Spark has no switch for it. But it draws nothing in the half second
    after the end of a job, and so nothing as long as the last end lies in the future. Whatever fails here is
    not worth an error: Spark's bar is seen then.

    Args:
        session: the session that draws it; Spark Connect draws none.
    """

    def __init__(self, session: Session) -> None:
        self._bar: Any = None
        self._last_end: Any = None
        if is_connect(session):
            return
        with contextlib.suppress(Exception):  # no error here is worth more than a bar too many
            found: Any = session.sparkContext._jsc.sc().progressBar()
            if found.isDefined():
                bar = found.get()
                last_end = bar.getClass().getDeclaredField("lastFinishTime")
                last_end.setAccessible(True)
                self._bar, self._last_end = bar, last_end

    def __enter__(self) -> ConsoleProgress:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            with contextlib.suppress(Exception):  # the session may be gone, and its bar with it
                self._bar.finishAll()  # as if a job had ended now

    def hide(self) -> None:
        """Draw nothing from now on. To be called again when a job has ended: Spark notes that end."""
        if self._bar is not None:
            with contextlib.suppress(Exception):  # as above
                self._bar.finishAll()  # clears the line
                self._last_end.setLong(self._bar, _NEVER)
