"""Pictures of figures, as SVG: what is to be seen, and how matplotlib draws it.

The same figures make the same file, byte by byte, so that a picture in the repository changes only with them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.statistics import Spread

_OWN = "#d1495b"
_OTHERS = ("#30638e", "#66a182", "#edae49", "#00798c", "#8d6a9f", "#777777", "#2e4057", "#b08968")


@dataclass(frozen=True, slots=True)
class Bars:
    """A bar for each name, with whiskers from the least to the largest value.

    Attributes:
        title: of the picture.
        unit: of the values.
        values: by name; our own is the first.
        logarithmic: whether they differ by orders of magnitude.
    """

    title: str
    unit: str
    values: Mapping[str, Spread]
    logarithmic: bool = False


@dataclass(frozen=True, slots=True)
class Lines:
    """A line for each name.

    Attributes:
        title: of the picture.
        across: what is counted from left to right.
        unit: of the values.
        values: points, from left to right, by name; our own is the first.
        logarithmic: whether the values differ by orders of magnitude.
    """

    title: str
    across: str
    unit: str
    values: Mapping[str, Sequence[tuple[float, float]]]
    logarithmic: bool = False


Picture = Bars | Lines


def draw(picture: Picture, path: Path) -> None:
    """Draw a picture into an SVG file."""
    import matplotlib as mpl
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sparkopt", "font.family": "sans-serif"}):
        bars = isinstance(picture, Bars)
        height = 1.3 + 0.34 * len(picture.values) if bars else 3.6
        figure = Figure(figsize=(7.5, height), layout="constrained")
        FigureCanvasSVG(figure)
        axes = figure.add_subplot()
        axes.set_title(picture.title, loc="left", fontsize=10)
        axes.spines[["top", "right"]].set_visible(False)
        if isinstance(picture, Bars):
            _draw_bars(axes, picture)
        else:
            _draw_lines(axes, picture)
        figure.savefig(path, metadata={"Date": None, "Creator": None})


def _draw_bars(axes: Any, picture: Bars) -> None:
    names, spreads = list(picture.values), list(picture.values.values())
    middles = [spread.median for spread in spreads]
    reach = [
        [spread.median - spread.low for spread in spreads],
        [spread.high - spread.median for spread in spreads],
    ]
    colours = [_OWN, *("#30638e" for _ in names[1:])]
    axes.barh(names, middles, xerr=reach, color=colours, height=0.65, ecolor="#222222", capsize=2)
    axes.invert_yaxis()
    axes.set_xlabel(picture.unit)
    if picture.logarithmic:
        axes.set_xscale("log")
    for place, spread in enumerate(spreads):
        axes.annotate(
            f"{spread.median:,.3g}" if spread.median < 1000 else f"{spread.median:,.0f}",
            (spread.high, place),
            xytext=(5, 0),
            textcoords="offset points",
            va="center",
            fontsize=8,
        )
    axes.margins(x=0.12)


def _draw_lines(axes: Any, picture: Lines) -> None:
    for number, (name, points) in enumerate(picture.values.items()):
        colour = _OWN if number == 0 else _OTHERS[(number - 1) % len(_OTHERS)]
        across, values = zip(*points, strict=True)
        axes.plot(
            across, values, label=name, color=colour, linewidth=1.4, marker="." if len(points) < 12 else ""
        )
    axes.set_xlabel(picture.across)
    axes.set_ylabel(picture.unit)
    if picture.logarithmic:
        axes.set_yscale("log")
    else:
        axes.set_ylim(bottom=0)
    if len(picture.values) > 1:
        axes.legend(frameon=False, fontsize=8)
