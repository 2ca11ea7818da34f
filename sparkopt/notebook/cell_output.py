"""Output of a notebook's cell that changes in place.

    draw() ◀── once a second, in a thread of its own ── LiveOutput ── if it has changed ──▶ display handle

It uses IPython's display handles alone, which Jupyter, VS Code, Colab and Databricks have. Databricks updates
the outputs of the cell that runs and of no other, which is enough, and redraws the whole output, which is why
it is not drawn more often.
"""

from __future__ import annotations

import contextlib
import contextvars
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, NamedTuple

_SECONDS: Final = 1.0
"""Seconds between two drawings."""


class Drawing(NamedTuple):
    """Contents of an output.

    Attributes:
        html: for notebooks.
        text: for whatever shows no HTML.
    """

    html: str
    text: str


def shell() -> Any:
    """IPython's shell if this is the kernel of a notebook; None on a terminal and without IPython."""
    ipython = sys.modules.get("IPython")
    found = None if ipython is None else ipython.get_ipython()
    if found is None:
        return None
    is_kernel = getattr(found, "kernel", None) is not None or "IPKernelApp" in getattr(found, "config", ())
    return found if is_kernel else None


class LiveOutput:
    """An output of the cell that runs, drawn again while a ``with`` block lasts, and when it is told to.

    A notebook that cannot show it costs the output and nothing else.

    Args:
        draw: returns the contents. Called from a thread of its own as well.
        seconds: between two drawings.
    """

    def __init__(self, draw: Callable[[], Drawing], seconds: float = _SECONDS) -> None:
        self._draw = draw
        self._seconds = seconds
        self._handle: Any = None
        self._shown: Drawing | None = None
        self._lock = threading.Lock()
        self._over = threading.Event()
        # In the context of the cell, by which its output is told from that of later cells.
        run = contextvars.copy_context().run
        self._thread = threading.Thread(target=run, args=(self._go_on,), name="sparkopt-cell", daemon=True)

    def __enter__(self) -> LiveOutput:
        self.show()
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()
        self.show()

    def show(self) -> None:
        """Draw now, if there is something new."""
        with contextlib.suppress(Exception), self._lock:  # no error here is worth the end of a search
            drawing = self._draw()
            if drawing == self._shown:
                return
            self._shown = drawing
            bundle = {"text/html": drawing.html, "text/plain": drawing.text}
            if self._handle is None:
                display = sys.modules["IPython"].display.display
                self._handle = display(bundle, raw=True, display_id=True)
            else:
                self._handle.update(bundle, raw=True)

    def _go_on(self) -> None:
        while not self._over.wait(self._seconds):
            self.show()
