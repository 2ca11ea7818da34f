"""Chunks put together are what was cut."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sparkopt.wire import limits
from sparkopt.wire.limits import CHUNK_BYTES, INLINE_BYTES, MESSAGE_BYTES, chunks


@given(st.integers(0, 3), st.integers(-1, 1), st.binary(min_size=1, max_size=20))
@example(0, 0, b"x")
def test_chunks_put_together_are_the_whole(count, more, pattern):
    size = max(0, count * CHUNK_BYTES + more)
    data = (pattern * (size // len(pattern) + 1))[:size]
    pieces = list(chunks(data))
    assert b"".join(pieces) == data
    assert all(len(piece) == CHUNK_BYTES for piece in pieces[:-1])
    assert all(0 < len(piece) <= CHUNK_BYTES for piece in pieces)


def test_what_is_sent_inline_fits_a_message_with_room_to_spare():
    assert 2 * INLINE_BYTES < MESSAGE_BYTES
    assert CHUNK_BYTES < MESSAGE_BYTES


@pytest.mark.parametrize("grace", [3.0, 12.0, 30.0, 600.0])
def test_a_dead_connection_is_found_out_within_the_grace(grace):
    for options in (limits.server_options(grace), limits.channel_options(grace)):
        given = dict(options)
        # gRPC keeps the longer of two clocks, and the second is a minute unless it is set.
        waits = [given["grpc.keepalive_timeout_ms"], given["grpc.http2.ping_timeout_ms"]]
        assert given["grpc.keepalive_time_ms"] + max(waits) < 1000 * grace


def test_a_server_expects_more_probes_than_clients_send():
    server, client = dict(limits.server_options()), dict(limits.channel_options())
    assert server["grpc.http2.min_ping_interval_without_data_ms"] < client["grpc.keepalive_time_ms"]
    assert server["grpc.so_reuseport"] == 0
    for name in ("grpc.max_receive_message_length", "grpc.max_send_message_length"):
        assert server[name] == client[name] == MESSAGE_BYTES
