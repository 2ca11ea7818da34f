"""Losses of a search as a small picture: a dot for each trial, a line for the best so far."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from sparkopt.notebook import markup

_WIDTH: Final = 480
_HEIGHT: Final = 64
_MARGIN: Final = 4
_DOTS: Final = 300
"""Most dots; of more trials, some have none."""

_SHOWN: Final = 0.9
"""Share of the losses that the picture's height is for; those above are at its upper edge."""


def loss_curve(losses: Sequence[float]) -> str:
    """Losses as an SVG, which has no text but its title; empty if there are fewer than two.

    Args:
        losses: in the order of the trials; those that are not finite have no dot.
    """
    points = [(place, loss) for place, loss in enumerate(losses) if math.isfinite(loss)]
    if len(points) < 2:
        return ""
    ordered = sorted(loss for _, loss in points)
    low, high = ordered[0], ordered[min(len(ordered) - 1, math.ceil(_SHOWN * len(ordered)))]
    # Halved, as the difference of two floats may be none.
    span = high / 2 - low / 2

    def x(place: int) -> float:
        return _MARGIN + (_WIDTH - 2 * _MARGIN) * place / max(1, len(losses) - 1)

    def y(loss: float) -> float:
        share = min(1.0, (loss / 2 - low / 2) / span) if span > 0 else 0.0
        return _HEIGHT - _MARGIN - (_HEIGHT - 2 * _MARGIN) * share

    every = math.ceil(len(points) / _DOTS)
    circles = [f'<circle cx="{x(place):.1f}" cy="{y(loss):.1f}" r="2"/>' for place, loss in points[::every]]
    best = math.inf
    line: list[str] = []
    for place, loss in points:
        if loss < best:
            if line:
                line.append(f"H{x(place):.1f}")
            best = loss
            line.append(f"{'V' if len(line) else f'M{x(place):.1f} '}{y(loss):.1f}")
    line.append(f"H{x(len(losses) - 1):.1f}")
    said = markup.escaped(
        f"losses of {len(points):,} trials, from {markup.number(ordered[0])} to {markup.number(ordered[-1])};"
        " the line is the best so far"
    )
    return (
        f'<svg role="img" aria-label="{said}" viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}"'
        f' height="{_HEIGHT}" style="max-width:100%;margin:4px 0;border-bottom:1px solid {markup.GREY}">'
        f"<title>{said}</title>"
        f'<g fill="currentColor" fill-opacity=".45">{"".join(circles)}</g>'
        f'<path d="{"".join(line)}" fill="none" stroke="{markup.BLUE}" stroke-width="2"/></svg>'
    )
