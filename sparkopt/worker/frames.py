"""How A and B talk over their socket: a kind, a header of plain values, and bytes that only B understands.

    ┌──────┬───────────────┬────────────────┬──────────────┬─────────┐
    │ kind │ header length │ payload length │ header, JSON │ payload │
    │ 1 B  │ 4 B           │ 8 B            │              │         │
    └──────┴───────────────┴────────────────┴──────────────┴─────────┘

A never unpickles what B sends, and B nothing but what it is to run. Payloads above a limit go through a file
that the header names.
"""

from __future__ import annotations

import enum
import json
import socket
import struct
from dataclasses import dataclass, field
from typing import Any, Final

_PREFIX: Final = struct.Struct("!BIQ")


class Kind(enum.IntEnum):
    """What a frame is about."""

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


@dataclass(frozen=True, slots=True)
class Frame:
    """One message.

    Attributes:
        kind: what it is about.
        header: values that JSON can carry.
        payload: pickled bytes; empty if the header names a ``file`` that holds them.
    """

    kind: Kind
    header: dict[str, Any] = field(default_factory=dict)
    payload: bytes = b""

    def encode(self) -> bytes:
        """The bytes of the frame."""
        header = json.dumps(self.header).encode()
        return b"".join((_PREFIX.pack(self.kind, len(header), len(self.payload)), header, self.payload))


class FrameBuffer:
    """Collects bytes as they come and cuts frames out of them."""

    def __init__(self) -> None:
        self._data = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take bytes in and return the frames that they complete."""
        self._data += data
        frames = []
        while (frame := self._next()) is not None:
            frames.append(frame)
        return frames

    def _next(self) -> Frame | None:
        if len(self._data) < _PREFIX.size:
            return None
        kind, header_size, payload_size = _PREFIX.unpack_from(self._data)
        body = _PREFIX.size + header_size
        end = body + payload_size
        if len(self._data) < end:
            return None
        header = json.loads(self._data[_PREFIX.size : body])
        frame = Frame(Kind(kind), header, bytes(self._data[body:end]))
        del self._data[:end]
        return frame


def receive(sock: socket.socket) -> Frame | None:
    """Wait for the next frame on a blocking socket; None when the other side is gone."""
    prefix = _receive_exactly(sock, _PREFIX.size)
    if prefix is None:
        return None
    kind, header_size, payload_size = _PREFIX.unpack(prefix)
    header = _receive_exactly(sock, header_size)
    payload = _receive_exactly(sock, payload_size)
    if header is None or payload is None:
        return None
    return Frame(Kind(kind), json.loads(header), payload)


def _receive_exactly(sock: socket.socket, size: int) -> bytes | None:
    parts = []
    while size:
        part = sock.recv(min(size, 1 << 20))
        if not part:
            return None
        parts.append(part)
        size -= len(part)
    return b"".join(parts)
