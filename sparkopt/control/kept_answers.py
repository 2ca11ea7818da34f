"""Points that were asked for, and answers that are kept for a client that asks again."""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.control.evaluate_call import EvaluateStream

ANSWERS: Final = 100_000
"""Most answers that a study keeps."""

BYTES: Final = 256 * 1024 * 1024
"""Most bytes that they may take, in memory and on disk together."""

_RECORD_BYTES: Final = 500
"""Bytes that a point takes besides its answer, about."""


@dataclass(slots=True, eq=False)
class Point:
    """A point that was asked for, and what became of it.

    Attributes:
        id: the client's.
        digest: of its values.
        size: of its request, in bytes.
        struct: what it says, as a Struct's bytes.
        argument: the objective's, pickled.
        asker: the stream that is to be answered; None if that was cut.
        tid: of its trial, once it is one.
        submitted: when it became one, in seconds since the epoch.
        started: when its latest attempt was sent to a worker.
        answer: what became of it, as a message, or its bytes once nobody waits for it; None while it is open.
        file: holds the result if that is large; it is missing in the answer then.
        unsent: how often streams have the answer before them.
    """

    id: str
    digest: bytes
    size: int
    struct: bytes
    argument: bytes | None
    asker: EvaluateStream | None = None
    tid: int = -1
    submitted: float = 0.0
    started: float = 0.0
    answer: control_pb2.EvaluateResponse | bytes | None = None
    file: Path | None = None
    unsent: int = 0

    def settled(self, answer: control_pb2.EvaluateResponse, file: Path | None) -> None:
        """This is what became of it."""
        self.answer, self.file = answer, file
        self.struct, self.argument, self.asker = b"", None, None

    def message(self) -> control_pb2.EvaluateResponse:
        """The answer, as a message."""
        if isinstance(self.answer, bytes):
            return control_pb2.EvaluateResponse.FromString(self.answer)
        assert self.answer is not None
        return self.answer

    def remove_file(self) -> None:
        """Remove the result's file, if there is one."""
        if self.file is not None:
            with contextlib.suppress(OSError):  # whoever cleans up temporary files may have been quicker
                self.file.unlink()

    def bytes_on_disk(self) -> int:
        """The size of the result's file."""
        try:
            return 0 if self.file is None else self.file.stat().st_size
        except OSError:  # it is gone
            return 0


class KeptAnswers:
    """Points whose answers nobody waits for, the oldest first; they are forgotten when there are too many.

    Args:
        forget: told of each that is kept no longer.
        answers: how many are kept at most.
        bytes_: how much room they may take.
    """

    def __init__(self, forget: Callable[[Point], None], answers: int = ANSWERS, bytes_: int = BYTES) -> None:
        self._forget = forget
        self._most = answers
        self._most_bytes = bytes_
        self._sizes: OrderedDict[Point, int] = OrderedDict()
        self._bytes = 0

    def add(self, point: Point) -> None:
        """Keep a point that has an answer, as the newest."""
        if not isinstance(point.answer, bytes):
            point.answer = point.message().SerializeToString()
        size = self._sizes[point] = len(point.answer) + point.bytes_on_disk() + _RECORD_BYTES
        self._bytes += size
        while len(self._sizes) > self._most or self._bytes > self._most_bytes:
            oldest, size = self._sizes.popitem(last=False)
            self._bytes -= size
            oldest.remove_file()
            self._forget(oldest)

    def take(self, point: Point) -> None:
        """Keep a point no longer, because somebody waits for it again; without effect if it was not kept."""
        self._bytes -= self._sizes.pop(point, 0)

    def clear(self) -> None:
        """Keep nothing more."""
        for point in self._sizes:
            point.remove_file()
        self._sizes.clear()
        self._bytes = 0
