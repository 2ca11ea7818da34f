"""Tables of figures: for a terminal, and in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.statistics import Spread

_WIDTH = 130


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text.

    Attributes:
        title: what they are about.
        columns: their heads. The first is a name and stands left, the others are figures.
        rows: as many cells each as there are columns.
        notes: sentences to be read with them.
        sections: after how many rows there is a line.
    """

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]] = ()
    notes: Sequence[str] = ()
    sections: Sequence[int] = ()

    def print(self, console: Console) -> None:
        """Show it on a terminal."""
        table = RichTable(title=self.title, title_style="bold")
        for number, column in enumerate(self.columns):
            table.add_column(column, justify="right" if number else "left")
        for number, row in enumerate(self.rows, 1):
            table.add_row(*row, end_section=number in self.sections)
        console.print(table)
        for note in self.notes:
            console.print(note, highlight=False)

    def markdown(self) -> str:
        """The same in Markdown."""
        lines = [
            f"**{self.title}**",
            "",
            _row(self.columns),
            _row([":---", *("---:" for _ in self.columns[1:])]),
            *(_row(row) for row in self.rows),
        ]
        for note in self.notes:
            lines += ["", note]
        return "\n".join(lines)


def _row(cells: Sequence[str]) -> str:
    escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
    return f"| {' | '.join(escaped)} |"


def spread_cells(spread: Spread, digits: int = 3) -> tuple[str, str, str]:
    """Median, least and largest, as cells."""
    low, middle, high = (f"{value:,.{digits}f}" for value in (spread.low, spread.median, spread.high))
    return middle, low, high


def ratio_cell(spread: Spread) -> str:
    """A ratio and its spread, as one cell: ``1,650 (1,480 to 1,790)``."""
    low, middle, high = (_times(value) for value in (spread.low, spread.median, spread.high))
    return middle if low == high else f"{middle} ({low} to {high})"


def _times(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def wide_console() -> Console:
    """A console that is wide enough for the tables, whatever it prints to."""
    console = Console()
    return console if console.width >= _WIDTH else Console(width=_WIDTH)
