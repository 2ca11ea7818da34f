"""Protocol between the relay's two halves, beside MLflow's own messages.

They are requests in the lane of MLflow (``sparkopt.wire.lanes``). Behind its prefix the method is

    method           asks for                                body                      answer
    run              the trial's run and its experiment      nothing                   two MLflow messages
    run.brief        the run, for a worker without MLflow    nothing                   a :class:`BriefRun`
    those in CALLS   MLflow's REST call of that name         MLflow's message          MLflow's response
    artifact.put     to store a file                         the bytes, then a label   nothing
    artifact.list    what is in a directory                  a label                   MLflow's response
    artifact.get     a file                                  a label                   its bytes

An answer in memory begins with a byte that says whether it is a result, or an error of MLflow's. The
answer to artifact.get is just the file, if it comes as one. Nothing here is pickled.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

SCHEME: Final = "sparkopt-trial"
"""Scheme of the addresses of the tracking store and of artifacts inside a trial."""

RUN: Final = "run"
BRIEF: Final = "run.brief"
PUT: Final = "artifact.put"
LIST: Final = "artifact.list"
GET: Final = "artifact.get"

TRANSFERS: Final = frozenset({PUT, GET})
"""Requests with files."""

CALLS: Final = frozenset(
    {
        "CreateLoggedModel",
        "CreateRun",
        "DeleteLoggedModelTag",
        "DeleteRun",
        "DeleteTag",
        "FinalizeLoggedModel",
        "GetLoggedModel",
        "GetMetricHistory",
        "GetRun",
        "LogBatch",
        "LogInputs",
        "LogLoggedModelParamsRequest",
        "LogModel",
        "LogOutputs",
        "SearchLoggedModels",
        "SetLoggedModelTags",
        "UpdateRun",
    }
)
"""The messages of MLflow's that are relayed."""

_ANSWER: Final = b"+"
_ERROR: Final = b"-"
_LENGTH: Final = struct.Struct("!I")
_LABEL_BYTES: Final = 64 * 1024


class RelayError(Exception):
    """An error of MLflow's, on its way to the worker.

    Attributes:
        code: MLflow's name for the kind of error.
        message: its text.
    """

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def pack_answer(data: bytes) -> bytes:
    """Bytes that are an answer."""
    return _ANSWER + data


def pack_error(error: RelayError) -> bytes:
    """An error in place of an answer."""
    return _ERROR + json.dumps({"code": error.code, "message": error.message}).encode()


def unpack_answer(data: bytes) -> bytes:
    """Unpack an answer.

    Raises:
        RelayError: if that was an error.
    """
    if data[:1] == _ANSWER:
        return data[1:]
    said = json.loads(data[1:])
    raise RelayError(said["code"], said["message"])


def read_answer(answer: bytes | Path) -> bytes:
    """Unpack an answer that has come as bytes or as a file, which is removed.

    Raises:
        RelayError: if that was an error.
    """
    if isinstance(answer, bytes):
        return unpack_answer(answer)
    try:
        return unpack_answer(answer.read_bytes())
    finally:
        answer.unlink()


def join(first: bytes, second: bytes) -> bytes:
    """Two messages as one."""
    return _LENGTH.pack(len(first)) + first + second


def part(data: bytes) -> tuple[bytes, bytes]:
    """The two messages that were joined."""
    (size,) = _LENGTH.unpack_from(data)
    rest = data[_LENGTH.size :]
    return rest[:size], rest[size:]


@dataclass(frozen=True, slots=True)
class Label:
    """Name of an artifact: its owner, and its path.

    Attributes:
        kind: ``runs`` or ``models``, whose artifact it is.
        owner: the id of the run or the model.
        path: below the artifacts' root, with slashes; empty for the root.
    """

    kind: str
    owner: str
    path: str

    def encode(self) -> bytes:
        """As bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> Label:
        """Read what :meth:`encode` has made.

        Raises:
            ValueError: if it is something else.
        """
        said = json.loads(data)
        if not isinstance(said, dict) or {*said} != {"kind", "owner", "path"}:
            raise ValueError("a label needs a kind, an owner and a path")
        if not all(isinstance(value, str) for value in said.values()):
            raise ValueError("a label is made of strings")
        return cls(**said)


@dataclass(frozen=True, slots=True)
class BriefRun:
    """A trial's run, for a worker that has not loaded MLflow.

    Attributes:
        run_id: of the run.
        relayed: whether its files go to the driver.
        params: its parameters when the attempt began.
    """

    run_id: str
    relayed: bool
    params: dict[str, str]

    def encode(self) -> bytes:
        """As bytes."""
        return json.dumps(asdict(self)).encode()

    @classmethod
    def decode(cls, data: bytes) -> BriefRun:
        """Read what :meth:`encode` has made."""
        return cls(**json.loads(data))


def trailer(label: Label) -> bytes:
    """Returns the bytes after an artifact's own, so that what is before them can stay in its file."""
    data = label.encode()
    return data + _LENGTH.pack(len(data))


def cut_trailer(body: bytes | Path) -> tuple[bytes | Path, Label]:
    """Separate an artifact from its label, which is cut off if the artifact is a file.

    Raises:
        ValueError: if there is no label.
    """
    if isinstance(body, bytes):
        size = _label_size(body[-_LENGTH.size :], len(body))
        content = len(body) - _LENGTH.size - size
        return body[:content], Label.decode(body[content : content + size])
    with body.open("r+b") as file:
        whole = file.seek(0, 2)
        file.seek(max(0, whole - _LENGTH.size))
        size = _label_size(file.read(), whole)
        content = whole - _LENGTH.size - size
        file.seek(content)
        label = Label.decode(file.read(size))
        file.truncate(content)
    return body, label


def _label_size(tail: bytes, whole: int) -> int:
    if len(tail) < _LENGTH.size:
        raise ValueError("an artifact came without its label")
    (size,) = _LENGTH.unpack(tail)
    if size > _LABEL_BYTES or size + _LENGTH.size > whole:
        raise ValueError("an artifact came without its label")
    return int(size)


def artifact_uri(kind: str, owner: str) -> str:
    """Returns where a worker finds the artifacts of a run or a model."""
    return f"{SCHEME}:/{kind}/{owner}/artifacts"


def parse_artifact_uri(uri: str) -> Label:
    """Returns what an address of artifacts means.

    Raises:
        ValueError: if it is not such an address.
    """
    scheme, _, rest = uri.partition(":")
    parts = rest.strip("/").split("/")
    if scheme != SCHEME or len(parts) < 3 or parts[0] not in ("runs", "models") or parts[2] != "artifacts":
        raise ValueError(f"{uri} is not an address of a trial's artifacts")
    return Label(parts[0], parts[1], "/".join(parts[3:]))
