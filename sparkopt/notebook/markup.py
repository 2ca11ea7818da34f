"""Pieces of HTML for notebooks. Every text that goes in is escaped here.

Colours are the notebook's own, or half transparent greys and mid tones that can be read on white and on
black.
"""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Final

BLUE: Final = "#3b82f6"
RED: Final = "#e5484d"
AMBER: Final = "#c98a00"
GREY: Final = "rgba(128,128,128,.28)"

_TABLE: Final = "border-collapse:collapse;margin:4px 0;font-size:13px;color:inherit"
_CHARACTERS: Final = 80
"""Most characters of a cell of a table."""

_CELL: Final = f"padding:2px 10px 2px 0;border:0;border-bottom:1px solid {GREY};vertical-align:top"


def escaped(text: object, most: int = 0) -> str:
    """Text as HTML, in one line.

    Args:
        text: whatever it is.
        most: characters after which it is cut; 0 for none.
    """
    words = " ".join(str(text).encode(errors="backslashreplace").decode().split())
    if most and len(words) > most:
        words = f"{words[: most - 1]}…"
    return html.escape("".join(each if each.isprintable() else "\ufffd" for each in words))


def block(*parts: str) -> str:
    """Lines of HTML below each other, in the notebook's font and colour."""
    lines = "".join(f"<div>{part}</div>" for part in parts if part)
    return f'<div style="line-height:1.5;font-size:13px;max-width:64em">{lines}</div>'


def strong(text: object) -> str:
    """Text in bold."""
    return f"<b>{escaped(text)}</b>"


def quiet(text: object) -> str:
    """Text that is less important."""
    return f'<span style="opacity:.7">{escaped(text)}</span>'


def coloured(text: object, colour: str) -> str:
    """Text in a colour of this module."""
    return f'<span style="color:{colour}">{escaped(text)}</span>'


def listed(parts: Iterable[str]) -> str:
    """Pieces of HTML in a line, the empty ones left out."""
    return " &middot; ".join(part for part in parts if part)


def table(headings: Sequence[str], rows: Iterable[Sequence[object]], right: int = 0) -> str:
    """A table.

    Args:
        headings: of the columns.
        rows: texts of their cells, cut if they are long.
        right: how many of the first columns hold numbers, which are on the right.
    """

    def row(tag: str, cells: Sequence[object], weight: str) -> str:
        aligned = [
            f'<{tag} style="{_CELL};text-align:{"right" if place < right else "left"};{weight}">'
            f"{escaped(cell, _CHARACTERS)}</{tag}>"
            for place, cell in enumerate(cells)
        ]
        return f"<tr>{''.join(aligned)}</tr>"

    body = "".join(row("td", cells, "font-weight:normal") for cells in rows)
    head = row("th", headings, "font-weight:600;opacity:.7")
    return (
        f'<div style="overflow-x:auto"><table style="{_TABLE}">'
        f"<thead>{head}</thead><tbody>{body}</tbody></table></div>"
    )


def bar(parts: Sequence[tuple[int, str]], total: int) -> str:
    """A bar with a part of each colour.

    Args:
        parts: how much of the whole each is, and its colour.
        total: the whole.
    """
    pieces = "".join(
        f'<div style="width:{100 * count / total:.2f}%;background:{colour}"></div>'
        for count, colour in parts
        if count
    )
    return (
        f'<div style="display:flex;height:8px;width:100%;max-width:32em;background:{GREY};border-radius:4px;'
        f'overflow:hidden;margin:4px 0">{pieces}</div>'
    )


def number(value: float) -> str:
    """A number in six digits."""
    return f"{value:.6g}"


def duration(seconds: float) -> str:
    """A time span as a clock shows it: 0:07, 12:30, 1:02:03; ``?`` if there is no end to it."""
    if not math.isfinite(seconds):
        return "?"
    minutes, rest = divmod(round(max(0.0, seconds)), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def counted(count: int, one: str, many: str = "") -> str:
    """A count and its noun: 1 trial, 2 trials."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"
