"""Searches of several checkouts in turns, each in a process of its own (tracked_search.py)."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import click

ROOT: Final = Path(__file__).resolve().parents[1]
"""This checkout."""


class Searches:
    """A process that runs searches of a checkout.

    Args:
        checkout: the directory of it.
        slots: of its Spark session.
    """

    def __init__(self, checkout: Path, slots: int) -> None:
        python = checkout / ".venv" / "bin" / "python"
        script = str(ROOT / "benchmarks" / "tracked_search.py")
        self._process = subprocess.Popen(
            [str(python) if python.exists() else sys.executable, script, str(checkout), str(slots)],
            cwd=checkout,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def run(self, **asked: Any) -> dict[str, float]:
        """Run a search, and return what it took."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{json.dumps(asked)}\n")
        self._process.stdin.flush()
        took: dict[str, float] = json.loads(self._answer())
        return took

    def close(self) -> None:
        """End the process."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise click.ClickException("a process that runs searches has ended")
        return line
