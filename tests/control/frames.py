"""Frames of HTTP/2, for clients that are up to no good."""

from __future__ import annotations

import struct

DATA, HEADERS, RST, SETTINGS, PING = 0, 1, 3, 4, 6
END_STREAM, END_HEADERS = 1, 4
INITIAL_WINDOW = 4


def frame(kind: int, payload: bytes = b"", flags: int = 0, stream: int = 0) -> bytes:
    """A frame of HTTP/2."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def literal(name: bytes, value: bytes) -> bytes:
    """A header that is not compressed."""
    return b"\x00" + bytes([len(name)]) + name + bytes([len(value)]) + value


def headers(call: str, token: str, stream: int) -> bytes:
    """The beginning of a call."""
    said = {
        ":method": "POST",
        ":scheme": "http",
        ":path": call,
        ":authority": "x",
        "te": "trailers",
        "content-type": "application/grpc",
        "authorization": f"Bearer {token}",
    }
    block = b"".join(literal(name.encode(), value.encode()) for name, value in said.items())
    return frame(HEADERS, block, flags=END_HEADERS, stream=stream)


EMPTY_MESSAGE = bytes(5)
"""A message of gRPC with nothing in it."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(SETTINGS)
