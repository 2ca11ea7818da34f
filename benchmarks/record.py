"""A measurement with the machine and the versions that it was made on, as JSON."""

from __future__ import annotations

import json
import os
import platform
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

_PACKAGES = ("sparkopt", "pyspark", "hyperopt", "grpcio", "protobuf", "numpy")


@dataclass(frozen=True, slots=True)
class Record:
    """What was asked, with which settings, and what came out."""

    question: str
    settings: dict[str, Any]
    figures: dict[str, Any]
    time: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    machine: dict[str, Any] = field(
        default_factory=lambda: {
            "cores": os.cpu_count(),
            "system": platform.system(),
            "processor": platform.machine(),
            "python": platform.python_version(),
        }
    )
    versions: dict[str, str] = field(default_factory=lambda: {name: version(name) for name in _PACKAGES})

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        path.write_text(json.dumps(asdict(self), indent=2) + "\n")
