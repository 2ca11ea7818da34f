"""Where others could listen a control service speaks TLS only; all that clients need is its certificate."""

from __future__ import annotations

import dataclasses
import socket
import ssl

import grpc
import pytest

from sparkopt import Control
from sparkopt.control import ControlServer, host_addresses
from sparkopt.coordinator import Coordinator
from sparkopt.coordinator.transport.certificates import new_certificate
from sparkopt.errors import PoolLostError, RefusedError
from sparkopt.wire import addresses
from sparkopt.wire.tokens import bearer
from tests.control.hostile import FETCH, NOTHING, PAUSE, refusal
from tests.coordinator.rig import SECONDS
from tests.support.certificates import make_certificate

UNAVAILABLE = grpc.StatusCode.UNAVAILABLE


def pause(attacked, host=None, certificate=None):
    """Call the service as any client would; its answer, or the status."""
    named, port = addresses.split(attacked.server.address)
    credentials = grpc.ssl_channel_credentials(certificate or attacked.server.certificate)
    with grpc.secure_channel(addresses.join(host or named, port), credentials) as channel:
        try:
            return channel.unary_unary(PAUSE)(
                NOTHING, metadata=bearer(attacked.server.token), timeout=SECONDS
            )
        except grpc.RpcError as error:
            return error.code()


@pytest.mark.parametrize("listen", ["0.0.0.0:0", "[::]:0"])
def test_every_interface_is_reached_by_names_and_addresses_of_this_host(make_attacked, listen):
    attacked = make_attacked(listen=listen)
    host, port = addresses.split(attacked.server.address)
    assert port > 0
    assert not addresses.is_unspecified(host)
    assert not addresses.is_loopback(host)
    assert isinstance(pause(attacked), bytes)
    hosts = {"localhost", "127.0.0.1", socket.gethostname(), *host_addresses.addresses()}
    for each in hosts - {name for name in hosts if name.startswith("fe80")}:
        if ":" not in each or listen.startswith("["):
            assert isinstance(pause(attacked, each), bytes), each


def test_the_address_that_workers_know_is_the_one_that_is_named(make_attacked):
    attacked = make_attacked(host="driver.invalid", bound="0.0.0.0", listen="0.0.0.0:0")
    assert addresses.split(attacked.server.address)[0] == "driver.invalid"


def test_nothing_but_tls_with_the_right_certificate_gets_through(make_attacked):
    attacked = make_attacked(host="driver.invalid", bound="0.0.0.0", listen="0.0.0.0:0")
    port = addresses.split(attacked.workers.address)[1]
    attacked.workers = dataclasses.replace(attacked.workers, address=f"127.0.0.1:{port}")
    attacked.server.address = f"127.0.0.1:{addresses.split(attacked.server.address)[1]}"
    attacked.search(attacked.workers)
    for call, token in ((FETCH, attacked.workers.token), (PAUSE, attacked.server.token)):
        assert refusal(attacked.call(call, NOTHING, token=token))[0] is UNAVAILABLE
        with attacked.connection(call) as connection:
            connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            while connection.recv(2**16):
                pass
    assert pause(attacked, certificate=new_certificate().trusted) is UNAVAILABLE
    assert pause(attacked, certificate=attacked.workers.certificate) is UNAVAILABLE
    assert not attacked.rig.coordinator.machine.paused


def test_the_most_exacting_of_clients_trusts_the_certificate(make_attacked):
    attacked = make_attacked(listen="0.0.0.0:0")
    host, port = addresses.split(attacked.server.address)
    context = ssl.create_default_context(cadata=attacked.server.certificate.decode())
    context.verify_flags |= ssl.VERIFY_X509_STRICT  # the default from Python 3.13 on
    for name in (host, socket.gethostname()):
        with (
            socket.create_connection((host, port), SECONDS) as connection,
            context.wrap_socket(connection, server_hostname=name) as secured,
        ):
            assert secured.version() in ("TLSv1.2", "TLSv1.3")


def test_on_loopback_there_is_no_tls(make_attacked):
    attacked = make_attacked()
    assert attacked.server.certificate is None
    assert list(attacked.call(PAUSE, NOTHING, token=attacked.server.token))


def test_the_users_certificate_is_served_on_loopback_too(make_attacked, tmp_path):
    certificate, key = make_certificate(tmp_path)
    attacked = make_attacked(tls_cert=certificate, tls_key=key)
    assert attacked.server.certificate == certificate.read_bytes()
    assert isinstance(pause(attacked, "localhost"), bytes)
    assert refusal(attacked.call(PAUSE, NOTHING, token=attacked.server.token))[0] is UNAVAILABLE


def test_an_ipv6_host_is_in_brackets(make_attacked):
    attacked = make_attacked(listen="[::1]:0")
    assert attacked.server.address.startswith("[::1]:")
    assert list(attacked.call(PAUSE, NOTHING, token=attacked.server.token))


@pytest.mark.parametrize("host", ["127.0.0.1", "192.0.2.1", "host.invalid"])
def test_where_nobody_can_listen_is_refused_and_leaves_nothing(host):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = addresses.join(host, taken.getsockname()[1])
        coordinator = Coordinator(
            *(1, "127.0.0.1", lambda *_: None, lambda reason, _: PoolLostError(reason)),
            observer=ControlServer(Control(listen=listen)),
        )
        try:
            with pytest.raises(RefusedError, match="cannot listen at"):
                coordinator.start()
        finally:
            coordinator.close()
