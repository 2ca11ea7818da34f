"""Versions of packages, to be shown to people; ``unknown`` where a version cannot be found.

Only what pip has installed has metadata. A package may also come by ``PYTHONPATH``, in a zip file, with Spark
itself, or under another distribution's name, as MLflow does with ``mlflow-skinny``.
"""

from __future__ import annotations

import sys
from importlib import metadata
from typing import Final

UNKNOWN: Final = "unknown"


def version_of(package: str) -> str:
    """Returns a package's version: that of the loaded module if it has one, or else that of the metadata."""
    said = getattr(sys.modules.get(package), "__version__", None)
    if isinstance(said, str):
        return said
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return UNKNOWN
