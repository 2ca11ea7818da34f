"""Writes the files of a user's project."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path


def write_project(directory: Path, files: Mapping[str, str]) -> Path:
    """Write texts below a directory, by their paths; modules among them can be imported at once."""
    for name, text in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    importlib.invalidate_caches()
    return directory
