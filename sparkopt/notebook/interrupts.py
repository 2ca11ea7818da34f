"""An interrupted cell in one line: IPython has exceptions that render themselves instead of a traceback."""

from __future__ import annotations

_RENDER = "_render_traceback_"
"""Method that IPython asks an exception for, and shows the lines of."""


def show_in_a_line(interrupt: KeyboardInterrupt, said: str) -> None:
    """Have IPython show an interrupt as one line, in a notebook and on a terminal.

    For code that catches the exception, and for Python's own interpreter, it stays what it is.

    Args:
        interrupt: that is on its way to the user.
        said: what was interrupted, and what there is of it.
    """
    setattr(interrupt, _RENDER, lambda: [f"{type(interrupt).__name__}: {said}"])
