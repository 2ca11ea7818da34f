"""A Python for executors that has some of the packages of this one, by links: nothing is downloaded."""

from __future__ import annotations

import re
import sys
import sysconfig
import venv
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

SPARKS = ("pyspark", "pandas", "pyarrow")
"""What executors need for Spark's own sake."""

_SHARED = {"google"}
"""Directories in which several distributions have packages."""


def make_python(place: Path, *distributions: str, modules: dict[str, str] | None = None) -> Path:
    """Make an environment, and return its interpreter.

    Args:
        place: its directory.
        distributions: that it has, with what they need.
        modules: files of its own, by their path below its site-packages, with their text.
    """
    venv.create(place, with_pip=False, symlinks=True)
    site = place / Path(sysconfig.get_path("purelib")).relative_to(sys.prefix)
    for name in _with_needs(distributions):
        distribution = metadata.distribution(name)
        for part in {_linked(path.parts) for path in distribution.files or () if ".." not in path.parts}:
            link, there = site / part, Path(str(distribution.locate_file(part)))
            link.parent.mkdir(exist_ok=True)
            if part.name != "__pycache__" and not link.is_symlink() and there.exists():
                link.symlink_to(there)
    for path, text in (modules or {}).items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    return place / "bin" / "python"


def _linked(parts: tuple[str, ...]) -> Path:
    return Path(*parts[: 2 if parts[0] in _SHARED else 1])


def _with_needs(distributions: Iterable[str]) -> list[str]:
    """The names of distributions, and of all that they need whatever the extras."""
    found: list[str] = []
    left = list(distributions)
    while left:
        name = re.sub(r"[-_.]+", "-", left.pop()).lower()
        try:
            needs = metadata.requires(name) or ()
        except metadata.PackageNotFoundError:  # for another Python or system
            continue
        if name not in found:
            found.append(name)
            left += [re.split(r"[^\w.-]", need)[0] for need in needs if "extra ==" not in need]
    return found
