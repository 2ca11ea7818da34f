"""What trials have noted of themselves: :class:`benchmarks.objectives.Noting` writes it, this reads it."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


class Notebook:
    """A new file for trials to note in when they ran."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @property
    def place(self) -> str:
        """Its path, for the objective."""
        return str(self._path)

    def spans(self) -> list[tuple[float, float]]:
        """When each trial began and ended, in seconds since the epoch, by when it ended."""
        lines = self._path.read_text().splitlines() if self._path.exists() else []
        pairs = (line.split() for line in lines)
        return sorted(((float(began), float(ended)) for began, ended in pairs), key=lambda span: span[1])


@contextlib.contextmanager
def notebook() -> Iterator[Notebook]:
    """A notebook, for as long as a block lasts."""
    with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory:
        yield Notebook(Path(directory, "notes"))
