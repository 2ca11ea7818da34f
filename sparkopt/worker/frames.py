"""Messages between A and B over their socket: a kind, a run, a header of plain values, and bytes for B alone.

    ┌───────┬──────┬─────┬───────────────┬────────────────┬────────┬─────────┐
    │ magic │ kind │ run │ header length │ payload length │ header │ payload │
    │ 3 B   │ 1 B  │ 8 B │ 4 B           │ 8 B            │        │         │
    └───────┴──────┴─────┴───────────────┴────────────────┴────────┴─────────┘

A numbers each RUN that it sends; whatever either side says about it afterwards carries that number. Questions
within a run have an ``id`` in their headers, and so have the replies. A never unpickles what B sends, and B
unpickles only what it is to run. Payloads above a limit go through a file that the header names.

The functions that this needs are bound here, so that an objective that replaces them changes nothing.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable, Iterator
from typing import Any, Final, NamedTuple, TypeAlias

from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker.headers import (
    VALUE,
    Header,
    json_bytes,
    json_header,
    result_bytes,
    result_header,
    run_bytes,
    run_header,
    value_bytes,
    value_header,
)

HEADER_BYTES: Final = 4 * 1024 * 1024
"""The largest header that A takes: three texts of a failure, in JSON's longest spelling."""

_MAGIC: Final = b"\xffB\xfe"
_PREFIX: Final = struct.Struct("!3sBQIQ")
_PREFIX_BYTES: Final = _PREFIX.size
_pack: Final = _PREFIX.pack
_unpack_from: Final = _PREFIX.unpack_from
_CHUNK: Final = 1 << 16


class FrameError(Exception):
    """The received bytes are not a frame; the message says why."""


class Kind(enum.IntEnum):
    """Kind of a frame."""

    RUN = 1
    """A to B: run the objective on this argument."""
    RESULT = 2
    """B to A: the objective returned."""
    FAILURE = 3
    """B to A: the objective raised."""
    STARTED = 4
    """B to A: the objective is loaded, and the trial's time runs. Only if the RUN asked for it."""
    REPORT = 5
    """B to A: the objective says something while it runs."""
    REPORTED = 6
    """A to B: the report is sent, and another may come; or the ``error`` that it has met."""
    REQUEST = 7
    """B to A: the objective asks something of the driver."""
    REPLY = 8
    """A to B: the answer."""
    VALUE = 9
    """B to A: the objective reports an intermediate value. Nobody waits for an answer."""
    PRUNED = 10
    """B to A: the objective has stopped early."""


_Codec: TypeAlias = "tuple[Kind, Callable[[Header], bytes], Callable[[bytes], Header]]"

_PACKED: Final = {
    Kind.RUN: (run_bytes, run_header),
    Kind.RESULT: (result_bytes, result_header),
    Kind.VALUE: (value_bytes, value_header),
}
_VALUE: Final = int(Kind.VALUE)
_VALUE_FRAME: Final = struct.Struct(_PREFIX.format + VALUE.format.removeprefix("!"))
_VALUE_BYTES: Final = VALUE.size
_pack_value_frame: Final = _VALUE_FRAME.pack
_CODECS: Final[dict[int, _Codec]] = {
    kind.value: (kind, *_PACKED.get(kind, (json_bytes, json_header))) for kind in Kind
}


class Frame(NamedTuple):
    """One message.

    Attributes:
        kind: what it is about.
        header: plain values, as :mod:`~sparkopt.worker.headers` has them for the kind.
        payload: pickled bytes; empty if the header names a ``file`` that holds them.
        run: the number of the run that it begins, answers or belongs to.
    """

    kind: Kind
    header: dict[str, Any]
    payload: bytes = b""
    run: int = 0

    def encode(self) -> bytes:
        """The bytes of the frame."""
        _, to_bytes, _ = _CODECS[self.kind]
        header = to_bytes(self.header)
        return b"".join(
            (_pack(_MAGIC, self.kind, self.run, len(header), len(self.payload)), header, self.payload)
        )


def value_frame(run: int, step: int, value: float) -> bytes:
    """The bytes of a VALUE."""
    return _pack_value_frame(_MAGIC, _VALUE, run, _VALUE_BYTES, 0, step, value)


class FrameBuffer:
    """Collects bytes as they come and cuts frames out of them. Holds no more than one frame may have."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Take bytes in and give the frames that they complete, one after another.

        Raises:
            FrameError: if what follows is not a frame. Nothing more can be understood then.
        """
        self.add(data)
        while (frame := self.next_frame()) is not None:
            yield frame

    def add(self, data: bytes) -> None:
        """Take bytes in."""
        self._data += data

    def next_frame(self) -> Frame | None:
        """The first frame that is complete, once; None if there is none.

        Raises:
            FrameError: if what comes next is not a frame. Nothing more can be understood then.
        """
        if len(self._data) < _PREFIX_BYTES:
            if not _MAGIC.startswith(self._data[: len(_MAGIC)]):
                raise _no_frame(self._data)
            return None
        magic, kind, run, header_size, payload_size = _unpack_from(self._data)
        if magic != _MAGIC:
            raise _no_frame(self._data)
        if header_size > HEADER_BYTES or payload_size > INLINE_BYTES:
            raise FrameError(
                f"a header of {header_size:,} bytes and a payload of {payload_size:,} were announced; they"
                f" have {HEADER_BYTES:,} and {INLINE_BYTES:,} at most"
            )
        body = _PREFIX_BYTES + header_size
        end = body + payload_size
        if len(self._data) < end:
            return None
        codec = _CODECS.get(kind)
        if codec is None:
            raise FrameError(f"there is no frame of the kind {kind}")
        known, _, to_header = codec
        try:
            header = to_header(bytes(self._data[_PREFIX_BYTES:body]))
        except ValueError as error:
            raise FrameError(str(error)) from None
        frame = Frame(known, header, bytes(self._data[body:end]), run)
        del self._data[:end]
        return frame


class FrameReader:
    """Reads frames from a blocking socket.

    Args:
        recv: the socket's method of that name.
    """

    def __init__(self, recv: Callable[[int], bytes]) -> None:
        self._recv = recv
        self._buffer = FrameBuffer()

    def next_frame(self) -> Frame | None:
        """Wait for the next frame; None when the other side is gone.

        Raises:
            FrameError: if what comes is not a frame.
        """
        while (frame := self._buffer.next_frame()) is None:
            data = self._recv(_CHUNK)
            if not data:
                return None
            self._buffer.add(data)
        return frame


def _no_frame(data: bytes | bytearray) -> FrameError:
    return FrameError(f"{bytes(data[:16])!r} is not the beginning of a frame")
