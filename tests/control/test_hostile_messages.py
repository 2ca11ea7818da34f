"""What nobody can read, what is too much, and what never comes: refused, while the search goes on."""

from __future__ import annotations

import contextlib
import socket

import grpc
import pytest

from sparkopt.core import events
from sparkopt.wire import limits
from sparkopt.wire.v1 import worker_pb2
from tests.control.hostile import EVALUATE, FETCH, NOTHING, PAUSE, WATCH, WORK, refusal

MALFORMED = {
    "garbage": b"\xff\xff\xff",
    "cut": worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker="w" * 50)).SerializeToString()[:20],
    "no text": b"\x0a\x01\xff",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
}
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
TOO_LARGE = limits.MESSAGE_BYTES + 1


def token(attacked, call):
    """The right one."""
    return attacked.server.token if "Control" in call else attacked.workers.token


@pytest.mark.parametrize("message", MALFORMED.values(), ids=MALFORMED)
def test_what_cannot_be_read_is_refused(attacked, message):
    for call in (WORK, FETCH, EVALUATE, "/sparkopt.v1.ControlService/CancelTrial"):
        refused = refusal(attacked.call(call, message, token=token(attacked, call)))
        assert refused[0] is grpc.StatusCode.INVALID_ARGUMENT


def test_what_cannot_be_read_in_the_middle_of_a_stream_is_refused(attacked):
    hello = worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker="gang0.9/worker1", generation=9))
    call = attacked.call(WORK, hello.SerializeToString(), b"\xff", token=attacked.workers.token)
    assert refusal(call)[0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("call", [WORK, FETCH, EVALUATE, PAUSE])
def test_an_oversized_message_is_refused(attacked, call):
    refused = refusal(attacked.call(call, bytes(TOO_LARGE), token=token(attacked, call)))
    assert refused[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize("call", [WORK, FETCH, PAUSE])
def test_a_message_that_is_oversized_when_it_is_unpacked_is_refused(attacked, call):
    channel = attacked.channel(call, ("grpc.default_compression_algorithm", grpc.Compression.Gzip.value))
    refused = refusal(
        attacked.call(call, bytes(10 * TOO_LARGE), token=token(attacked, call), channel=channel)
    )
    assert refused[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_oversized_metadata_are_refused(attacked):
    for call in (WORK, PAUSE):
        refused = refusal(attacked.call(call, NOTHING, token=token(attacked, call), more="x" * 100_000))
        assert refused[0] in (grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL)


@pytest.mark.parametrize("call", [WORK, FETCH, PAUSE, WATCH])
def test_a_call_that_sends_nothing_is_ended(attacked, call, monkeypatch):
    monkeypatch.setattr(limits, "FIRST_MESSAGE_SECONDS", 0.2)
    refused = refusal(attacked.open(call, token=token(attacked, call)).call)
    assert refused == (grpc.StatusCode.DEADLINE_EXCEEDED, "NOTHING_SENT")


def test_a_call_that_ends_without_its_request_is_refused(attacked):
    for call in (FETCH, PAUSE):
        refused = refusal(attacked.call(call, token=token(attacked, call)))
        assert refused[0] is grpc.StatusCode.INVALID_ARGUMENT


@pytest.mark.parametrize("service", ["Worker", "Control"])
@pytest.mark.parametrize(
    "first", [b"", b"\x16\x03\x01" + bytes(200), b"GET / HTTP/1.1\r\n\r\n", PREFACE * 10]
)
def test_garbage_is_cut_off(attacked, service, first):
    with attacked.connection(service) as connection:
        connection.sendall(first)
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(2**16):
            pass


@pytest.mark.parametrize("service", ["Worker", "Control"])
def test_ten_thousand_connections_in_sequence(attacked, service):
    for number in range(10_000):
        with attacked.connection(service) as connection:
            if number % 2:
                connection.sendall(PREFACE)


@pytest.mark.parametrize("service", ["Worker", "Control"])
def test_more_connections_at_once_than_there_may_be_are_cut_off(attacked, service):
    most = limits.CONTROL_CONNECTIONS if service == "Control" else limits.WORKER_STREAMS
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(attacked.connection(service)) for _ in range(most + 20)]
        for connection in connections[:20]:  # the oldest go first
            with contextlib.suppress(ConnectionResetError):
                while connection.recv(2**16):
                    pass
        attacked.goes_on()
    # There is room again.
    assert (
        refusal(attacked.call(FETCH, NOTHING, token=attacked.workers.token))[0] is grpc.StatusCode.NOT_FOUND
    )
    assert list(attacked.call(PAUSE, NOTHING, token=attacked.server.token))
    attacked.rig.coordinator.post_event(events.Resumed())
