"""Sizes and keepalive for both ends of a channel, in one place: one end alone cannot change them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""The largest message that either end accepts."""

INLINE_BYTES: Final = 1024 * 1024
"""A payload above this size travels in chunks beside the stream, so that heartbeats need not wait for it."""

CHUNK_BYTES: Final = 1024 * 1024
"""The size of one such chunk."""

RESULT_BYTES: Final = 14 * 1024 * 1024
"""The largest result of an objective that is evaluated from outside: its JSON is one field of a message."""

POINT_BYTES: Final = 256 * 1024
"""The largest point from outside: its answer repeats it besides the result, in up to six times the room."""

TEXT_CHARACTERS: Final = 64 * 1024
"""The longest text of a failure that is told whole; it must fit a message whatever its characters are."""

HEARTBEAT_SECONDS: Final = 1.0
"""How often a worker says that it is alive."""

GRACE_SECONDS: Final = 30.0
"""Seconds that a worker may be out of reach before its attempt is given to another."""

INTERRUPT_SECONDS: Final = 1.0
"""Longest that a user's thread waits without a look at Ctrl-C.

A signal that comes just before a wait begins, or that another thread takes, does not end the wait."""

FIRST_MESSAGE_SECONDS: Final = 10.0
"""Seconds that a worker's stream may stay without its hello."""

UNCLAIMED_BYTES: Final = 16 * 1024**3
"""Most bytes that a worker may have pushed and that none of its messages has named yet."""

UNCLAIMED_BLOBS: Final = 16
"""Most pieces of those bytes, with pieces that are under way. One trial pushes one or two at a time."""

CHECKPOINT_BYTES: Final = 2 * 1024**3
"""Most bytes of a trial's checkpoint."""

WORKER_STREAMS: Final = 512
"""Most streams that a peer may have open at WorkerService. All workers may share one address."""

WORKER_CONNECTIONS: Final = 512
"""Most open connections of WorkerService."""

WORKER_STRANGERS: Final = 128
"""Most connections of one address to WorkerService without a call that has the token.

All workers may start at once."""

CONTROL_STREAMS: Final = 64
"""Most streams that a peer may have open at ControlService with the same token."""

CONTROL_CONNECTIONS: Final = 256
"""Most open connections of ControlService."""

CONTROL_STRANGERS: Final = 32
"""Most connections of one address to ControlService without a call that has the token."""

STRANGER_SECONDS: Final = 10.0
"""Seconds that a connection stays open without a call that has a right token."""

REQUEST_BYTES: Final = 64 * 1024
"""The largest request, except for those that carry points or results."""

CONTROL_REQUEST_BYTES: Final = 4 * 1024 * 1024
"""The largest request to ControlService: the points of a SubmitTrials. Reading one takes 0.1 s at most."""

EVALUATE_BYTES: Final = POINT_BYTES + REQUEST_BYTES
"""The largest request of an Evaluate. A point that is too large by less than that is rejected by its id."""

PUSH_BYTES: Final = 2 * CHUNK_BYTES
"""The largest chunk that is taken."""

PAGE_BYTES: Final = 2 * 1024 * 1024
"""A page of trials ends behind the one that makes it larger than this: gRPC's usual 4 MiB hold any page."""

CALLS: Final = 16
"""Most calls of a peer with the same token that are answered at once. Further calls wait."""

ALL_CALLS: Final = 64
"""Most calls of all peers that are answered at once."""

WAITING_CALLS: Final = 256
"""Most calls that may wait to be answered."""

CALL_SECONDS: Final = 60.0
"""Most seconds for a call that waits for nothing: its client may read too slowly, or not at all."""

FAILED_CALLS: Final = 20
"""Most calls without a right token that a peer may make within :data:`FAILED_CALLS_SECONDS`."""

FAILED_CALLS_SECONDS: Final = 60.0

STREAMS_A_CONNECTION: Final = 100
"""Most calls that one connection may have under way. Further calls wait in the client."""

HANDSHAKE_SECONDS: Final = 10.0
"""How long a connection may take until it speaks HTTP/2."""

IDLE_SECONDS: Final = 60.0
"""A connection without any call is closed after this; clients open another by themselves."""

CERTIFICATE_NAME: Final = "sparkopt-pool"
"""The name in a pool's certificate, whatever address the pool is reached by."""

AUTHORITY_NAME: Final = f"{CERTIFICATE_NAME} authority"
"""The name of what has signed it, which is made for the pool too, and signs nothing else."""

Options = list[tuple[str, int]]


def keepalive(grace: float) -> float:
    """Returns how often to probe an idle connection, and how long to wait for an answer; in seconds.

    A connection that swallows everything must be found out well within the grace, so that the worker comes
    back on another one.
    """
    return max(1.0, min(10.0, grace / 3))


def _shared(grace: float) -> Options:
    probe = int(keepalive(grace) * 1000)
    return [
        ("grpc.max_send_message_length", MESSAGE_BYTES),
        ("grpc.max_receive_message_length", MESSAGE_BYTES),
        ("grpc.keepalive_time_ms", probe),
        ("grpc.keepalive_timeout_ms", probe),
        # This one decides as well, and is a minute where keepalive is on: longer than the grace.
        ("grpc.http2.ping_timeout_ms", probe),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    ]


def server_options(
    grace: float = GRACE_SECONDS,
    connections: int = WORKER_CONNECTIONS,
    request_bytes: int = MESSAGE_BYTES,
) -> Options:
    """Options for the server's end.

    Args:
        grace: see :func:`keepalive`.
        connections: how many there may be at once. Each takes one of the driver's file descriptors.
        request_bytes: the largest request that is read at all.
    """
    # A server that is not told to expect the probes of its clients answers them with GOAWAY.
    probes = ("grpc.http2.min_ping_interval_without_data_ms", int(keepalive(grace) * 1000) // 2)
    return [
        *(option for option in _shared(grace) if option[0] != "grpc.max_receive_message_length"),
        ("grpc.max_receive_message_length", request_bytes),
        probes,
        ("grpc.so_reuseport", 0),
        ("grpc.max_concurrent_streams", STREAMS_A_CONNECTION),
        ("grpc.max_connection_idle_ms", int(IDLE_SECONDS * 1000)),
        ("grpc.server_handshake_timeout_ms", int(HANDSHAKE_SECONDS * 1000)),
        ("grpc.max_allowed_incoming_connections", connections),
    ]


def channel_options(grace: float = GRACE_SECONDS) -> Options:
    """Options for the client's end."""
    # A worker decides itself when to try again; the channel's own backoff would only add to that.
    return [
        *_shared(grace),
        ("grpc.initial_reconnect_backoff_ms", 100),
        ("grpc.max_reconnect_backoff_ms", 1000),
    ]


def chunks(data: bytes) -> Iterator[bytes]:
    """Cut bytes into pieces of :data:`CHUNK_BYTES`; the last may be shorter."""
    view = memoryview(data)
    for start in range(0, len(view), CHUNK_BYTES):
        yield bytes(view[start : start + CHUNK_BYTES])


def chunks_of_file(path: Path) -> Iterator[bytes]:
    """The same of a file."""
    with path.open("rb") as file:
        while data := file.read(CHUNK_BYTES):
            yield data
