"""Records of what is to be written to a tracking store. They can wait, be merged, and be kept in a file.

Each record belongs to a run, which goes by its trial's id, or by None for the study's own run: a child run
has no id in the store before it is created.
"""

from __future__ import annotations

import base64
import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

Run: TypeAlias = "int | None"
"""Whose run: a trial's id, or None for the study's."""

Metric: TypeAlias = tuple[str, float, int, int]
"""Key, value, milliseconds since the epoch, step."""


@dataclass(frozen=True, slots=True)
class Create:
    """A trial's run begins.

    Attributes:
        run: the trial's id.
        name: what people call it.
        time: when, in milliseconds since the epoch.
        tags: what it is created with.
    """

    run: int
    name: str
    time: int
    tags: dict[str, str]


@dataclass(slots=True)
class Log:
    """Parameters, metrics and tags; several of the same run can become one."""

    run: Run
    params: dict[str, str] = field(default_factory=dict)
    metrics: list[Metric] = field(default_factory=list)
    tags: dict[str, str] = field(default_factory=dict)

    def add(self, other: Log) -> None:
        """Take what is logged later in as well."""
        self.params.update(other.params)
        self.metrics.extend(other.metrics)
        self.tags.update(other.tags)

    def __len__(self) -> int:
        """Returns how many parameters, metrics and tags it has."""
        return len(self.params) + len(self.metrics) + len(self.tags)


@dataclass(frozen=True, slots=True)
class LogArtifact:
    """An artifact, whole.

    Attributes:
        run: the run that it belongs to.
        path: where, with the file's name; slashes part folders.
        data: its bytes, if it is a small one.
        file: where its bytes are otherwise.
    """

    run: Run
    path: str
    data: bytes = b""
    file: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """A run ends.

    Attributes:
        run: the run that it belongs to.
        status: FINISHED, FAILED or KILLED.
        time: when, in milliseconds since the epoch.
    """

    run: Run
    status: str
    time: int


Record: TypeAlias = "Create | Log | LogArtifact | End"

_KINDS: Final[dict[str, type[Record]]] = {"create": Create, "log": Log, "put": LogArtifact, "end": End}
_NAMES: Final = {kind: name for name, kind in _KINDS.items()}


_ENTRY_BYTES: Final = 200
"""Bytes of memory that an entry takes besides its value, about."""


def size_of(record: Record) -> int:
    """About how many bytes a record takes in memory."""
    match record:
        case Log():
            texts = sum(map(len, record.params.values())) + sum(map(len, record.tags.values()))
            return _ENTRY_BYTES * (1 + len(record)) + texts
        case LogArtifact():
            return _ENTRY_BYTES + len(record.data)
        case Create():
            return _ENTRY_BYTES * (1 + len(record.tags))
        case End():
            return _ENTRY_BYTES


def to_line(record: Record) -> str:
    """A record as one line of JSON."""
    fields = dataclasses.asdict(record)
    if isinstance(record, LogArtifact):
        del fields["file" if record.file is None else "data"]
        if record.file is None:
            fields["data"] = base64.b64encode(record.data).decode("ascii")
    return json.dumps({"record": _NAMES[type(record)], **fields}, ensure_ascii=False)


def from_line(line: str) -> Record:
    """The record of a line.

    Raises:
        ValueError: if the line was not made by :func:`to_line`.
    """
    try:
        fields: dict[str, Any] = json.loads(line)
        kind = _KINDS[fields.pop("record")]
        if kind is LogArtifact and "data" in fields:
            fields["data"] = base64.b64decode(fields["data"], validate=True)
        if kind is Log:
            fields["metrics"] = [tuple(metric) for metric in fields["metrics"]]
        return kind(**fields)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"no record of a tracking store: {line[:80]!r}") from error
