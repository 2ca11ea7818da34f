"""The checkout, and the way to its modules for processes that tests start."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def python_path(*places: Path) -> str:
    """PYTHONPATH with the checkout, other places, and what the environment has."""
    return os.pathsep.join(filter(None, [str(ROOT), *map(str, places), os.environ.get("PYTHONPATH", "")]))
