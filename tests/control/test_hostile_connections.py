"""Connections without a right token hinder no client, and are closed soon, whatever they send."""

from __future__ import annotations

import contextlib
import itertools
import socket
import ssl
import threading

import grpc
import pytest

from sparkopt.coordinator.transport import connections
from sparkopt.core import events
from sparkopt.wire import addresses, limits
from sparkopt.wire.limits import CERTIFICATE_NAME
from sparkopt.wire.tokens import bearer
from tests.control.frames import PING, PREFACE, RST, SETTINGS, frame, headers
from tests.control.hostile import FETCH, NOTHING, PAUSE, refusal
from tests.coordinator.rig import SECONDS

CALLS = {"Worker": FETCH, "Control": PAUSE}
STREAMS = range(1, 2**31, 2)

FIRST = {
    "nothing": b"",
    "part of a preface": PREFACE[:10],
    "a preface": PREFACE,
    "half a TLS handshake": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    "HTTP/1.1": b"GET / HTTP/1.1\r\nHost: x\r\n",
    "a call without a body": PREFACE + headers(PAUSE, "wrong", 1),
    "part of a frame": PREFACE + frame(PING, bytes(8))[:5],
}
"""Bytes that a client sends once before it stays silent."""


def drip():
    """A frame that takes for ever to arrive."""
    yield PREFACE + b"\x00\x40\x00\x00\x00\x00\x00\x00\x01"
    yield from itertools.repeat(b"\x00")


def probe():
    yield PREFACE
    yield from itertools.repeat(frame(PING, bytes(8)))


def settle():
    yield PREFACE
    yield from itertools.repeat(frame(SETTINGS))


def guess():
    yield PREFACE
    for stream in STREAMS:
        yield headers(PAUSE, "wrong", stream)


def reset():
    yield PREFACE
    for stream in STREAMS:
        yield headers(PAUSE, "wrong", stream) + frame(RST, bytes(4), stream=stream)


@pytest.fixture
def impatient(monkeypatch):
    """Strangers may stay for a moment only. What gRPC itself would close by then, it closes in a minute."""
    monkeypatch.setattr(connections, "STRANGER_SECONDS", 0.5)
    monkeypatch.setattr(connections, "_EVERY", 0.1)
    monkeypatch.setattr(limits, "HANDSHAKE_SECONDS", 60.0)


def is_closed(connection: socket.socket) -> None:
    """Wait until the other end has closed a connection."""
    connection.settimeout(SECONDS)
    with contextlib.suppress(ConnectionError):
        while connection.recv(2**16):
            pass


def is_open(connection: socket.socket) -> bool:
    """Whether the other end has not closed a connection."""
    connection.setblocking(False)
    try:
        while connection.recv(2**16):
            pass
    except BlockingIOError:
        return True
    return False


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("first", FIRST.values(), ids=FIRST)
def test_a_silent_one_is_closed(impatient, attacked, service, first):
    with attacked.connection(service) as connection:
        connection.sendall(first)
        is_closed(connection)


@pytest.mark.parametrize("service", CALLS)
@pytest.mark.parametrize("say", [drip, probe, settle, guess, reset])
def test_one_that_is_kept_busy_is_closed(impatient, attacked, service, say):
    with attacked.connection(service) as connection:
        over = threading.Event()

        def speak() -> None:
            with contextlib.suppress(OSError):
                for said in say():
                    connection.sendall(said)
                    if over.wait(0.02):
                        return

        speaker = threading.Thread(target=speak)
        speaker.start()
        try:
            is_closed(connection)
        finally:
            over.set()
            speaker.join()
        attacked.goes_on()


@pytest.mark.parametrize("service", CALLS)
def test_one_that_had_a_right_token_stays(impatient, attacked, service):
    token = attacked.server.token if service == "Control" else attacked.workers.token
    with attacked.connection(service) as right, attacked.connection(service) as wrong:
        for connection, said in ((right, token), (wrong, "wrong")):
            connection.sendall(PREFACE + headers(CALLS[service], said, 1))
        is_closed(wrong)
        with attacked.connection(service) as later:
            is_closed(later)
        assert is_open(right)


def crowd(attacked, service, number, first, stack):
    """So many connections, as far as they come about."""
    place = addresses.split(attacked.address(service))
    for _ in range(number):
        with contextlib.suppress(OSError):
            connection = stack.enter_context(socket.create_connection(place, SECONDS))
            connection.sendall(first)


@pytest.mark.parametrize("first", ["nothing", "a preface"])
@pytest.mark.parametrize(("service", "number"), [("Worker", 560), ("Control", 300)])
def test_a_crowd_of_them_keeps_nobody_out(attacked, service, number, first, monkeypatch):
    # Nothing that they are told to go for by themselves happens meanwhile.
    monkeypatch.setattr(connections, "STRANGER_SECONDS", 1000.0)
    with contextlib.ExitStack() as stack:
        crowd(attacked, service, number, FIRST[first], stack)
        channel = attacked.channel(service)
        token = attacked.server.token if service == "Control" else attacked.workers.token
        call = channel.unary_stream(CALLS[service])
        # HTTP/2 is not there before the handshake's patience ends, if not for the crowd.
        answer = call(NOTHING, metadata=bearer(token), timeout=SECONDS / 2, wait_for_ready=True)
        if service == "Control":
            assert list(answer)
            attacked.rig.coordinator.post_event(events.Resumed())
        else:
            assert refusal(answer)[0] is grpc.StatusCode.NOT_FOUND
        attacked.goes_on()


def test_a_worker_comes_in_beside_a_crowd(make_attacked):
    attacked = make_attacked()
    with contextlib.ExitStack() as stack:
        crowd(attacked, "Worker", 560, PREFACE, stack)
        attacked.search()


@pytest.mark.parametrize(("service", "number"), [("Worker", 560), ("Control", 300)])
def test_a_crowd_keeps_nobody_out_where_there_is_tls(make_attacked, service, number):
    attacked = make_attacked(host="driver.invalid", bound="0.0.0.0", listen="0.0.0.0:0")
    worker = service == "Worker"
    endpoint = attacked.workers if worker else attacked.server
    place = "127.0.0.1", addresses.split(endpoint.address)[1]
    credentials = grpc.ssl_channel_credentials(endpoint.certificate)
    options = [("grpc.ssl_target_name_override", CERTIFICATE_NAME), ("grpc.use_local_subchannel_pool", 1)]
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    anybody.set_alpn_protocols(["h2"])
    with contextlib.ExitStack() as stack:
        for each in range(number):
            with contextlib.suppress(OSError):
                connection = stack.enter_context(socket.create_connection(place, SECONDS))
                if each % 10:
                    connection.sendall(FIRST["half a TLS handshake"])
                else:
                    stack.enter_context(anybody.wrap_socket(connection)).sendall(PREFACE)
        channel = stack.enter_context(grpc.secure_channel(addresses.join(*place), credentials, options))
        call = channel.unary_stream(CALLS[service])
        answer = call(NOTHING, metadata=bearer(endpoint.token), timeout=SECONDS, wait_for_ready=True)
        if worker:
            assert refusal(answer)[0] is grpc.StatusCode.NOT_FOUND
        else:
            assert list(answer)
