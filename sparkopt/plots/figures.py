"""A Matplotlib figure without pyplot, and axes that look like their dimension."""

from __future__ import annotations

import io
from typing import Any, Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sparkopt.study.trial_description import Dimension

MARKS: Final = 6
"""Into how many parts an axis is divided, at most."""

_DOTS: Final = 90
_LETTERS: Final = 18


class SearchFigure(Figure):
    """A figure that a notebook shows without pyplot.

    Args:
        width: in inches.
        height: in inches.
    """

    def __init__(self, width: float, height: float) -> None:
        super().__init__(figsize=(width, height))
        FigureCanvasAgg(self)

    def to_png(self) -> bytes:
        """Return the figure as a PNG."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", dpi=_DOTS)
        return buffer.getvalue()

    def _repr_png_(self) -> bytes:
        return self.to_png()


def scale(axes: Any, dimension: Dimension) -> None:
    """Give the horizontal axis the scale of a dimension: logarithmic, or the options of a choice."""
    if dimension.kind == "choice":
        words = [short(option) for option in dimension.options]
        # A dollar sign is one, and begins no formula.
        axes.set_xticks(
            range(len(words)), words, rotation=30, ha="right", fontsize="x-small", parse_math=False
        )
        axes.set_xlim(-0.5, len(words) - 0.5)
    elif dimension.logarithmic:
        axes.set_xscale("log")
    else:
        axes.locator_params(axis="x", nbins=4, integer=dimension.kind == "int")


def drawable(text: Any) -> str:
    """Return a text as fonts can draw it: what UTF-8 does not have becomes a question mark."""
    return str(text).encode("utf-8", "replace").decode("utf-8")


def short(option: Any) -> str:
    """Return an option in a few letters."""
    words = drawable(option)
    return words if len(words) <= _LETTERS else f"{words[: _LETTERS - 1]}…"
