"""A measurement with the machine and the versions that it was made on, as JSON."""

from __future__ import annotations

import json
import os
import platform
import textwrap
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil

_PACKAGES = (
    *(
        "sparkopt",
        "pyspark",
        "hyperopt",
        "grpcio",
        "uvloop",
        "protobuf",
        "numpy",
        "scipy",
        "mlflow",
        "scikit-learn",
    ),
    *("optuna", "joblibspark", "ray"),
)


def _machine() -> dict[str, Any]:
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.system(),
        "processor": _processor(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _versions() -> dict[str, str]:
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _lines(fields: dict[str, Any], depth: int = 2) -> str:
    """JSON with a line for each field and for each of its own: to be read, and compared with an older one."""
    if not depth or not fields:
        return json.dumps(fields)
    texts = (
        _lines(value, depth - 1) if isinstance(value, dict) else json.dumps(value)
        for value in fields.values()
    )
    lines = (f"{json.dumps(str(key))}: {text}" for key, text in zip(fields, texts, strict=True))
    return "{\n" + textwrap.indent(",\n".join(lines), " ") + "\n}"


@dataclass(frozen=True, slots=True)
class Limit:
    """A figure and what it has to be.

    Attributes:
        what: the figure, in words.
        bound: what it is held against.
        value: what was measured; None if it was not.
        at_least: whether the bound is the least that it may be, rather than the most.
        unit: of both.
    """

    what: str
    bound: float
    value: float | None
    at_least: bool = False
    unit: str = ""

    @property
    def met(self) -> bool | None:
        """Whether it is met; None if it was not measured."""
        if self.value is None:
            return None
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    @property
    def text(self) -> str:
        """One line: what is asked, what was measured, and by how much it was missed."""
        asked = f"{self.what}: {'at least' if self.at_least else 'at most'} {self._figure(self.bound)}"
        if self.value is None:
            return f"{asked}; not measured"
        if self.met:
            return f"{asked}; measured {self._figure(self.value)}, met"
        by = abs(self.value - self.bound)
        share = f" ({by / abs(self.bound):.0%})" if self.bound else ""
        return f"{asked}; measured {self._figure(self.value)}, missed by {self._figure(by)}{share}"

    def _figure(self, value: float) -> str:
        # "ms" after a space, "x" as well; three digits that mean something, or all of a large number.
        number = f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
        return f"{number} {self.unit}".strip()


@dataclass(frozen=True, slots=True)
class Record:
    """What was asked, with which settings, and what came out.

    Attributes:
        question: its name.
        settings: the options that it was asked with.
        figures: everything that was measured.
        missing: peers that were asked for and could not take part, with the reason.
        limits: the figures that are held against a limit.
        seconds: how long it took.
        load: how many processes wanted a core in the minute before: what else the machine was doing.
        time: when it was over.
        machine: where.
        versions: of what.
    """

    question: str
    settings: dict[str, Any]
    figures: dict[str, Any]
    missing: dict[str, str] = field(default_factory=dict)
    limits: list[Limit] = field(default_factory=list)
    seconds: float | None = None
    load: float | None = None
    time: str = field(default_factory=lambda: datetime.now(timezone.utc).isoformat(timespec="seconds"))
    machine: dict[str, Any] = field(default_factory=_machine)
    versions: dict[str, str] = field(default_factory=_versions)

    def write(self, path: Path) -> None:
        """Write the record to a file."""
        path.write_text(_lines(asdict(self)) + "\n")

    @classmethod
    def read(cls, path: Path) -> Record:
        """The record that a file holds.

        Raises:
            ValueError: if it holds none.
        """
        try:
            fields = json.loads(path.read_text())
            limits = [Limit(**limit) for limit in fields.pop("limits", ())]
            return cls(**fields, limits=limits)
        except (TypeError, ValueError, AttributeError) as error:
            raise ValueError(
                f"{path} is no record of a benchmark ({error}): make it again with"
                f" python -m benchmarks {path.stem} --json {path}"
            ) from error
