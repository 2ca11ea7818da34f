"""A dashboard listens: with TLS and the token off loopback, and strangers do not hold it up."""

from __future__ import annotations

import socket
import ssl

import pytest

from sparkopt.dashboard.dashboards import Dashboard, Listen
from sparkopt.errors import RefusedError

EVERYWHERE = "0.0.0.0:0"


def trusting_anybody():
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


def test_off_loopback_it_speaks_tls_and_takes_the_token(make_served):
    served = make_served(EVERYWHERE)
    assert served.dashboard.url.startswith("https://")
    visitor = served.visitor(trusts=trusting_anybody())
    assert visitor.ask("/").status == 401
    assert visitor.ask("/api/studies").status == 401
    assert visitor.open(served.dashboard.link).status == 303
    assert visitor.ask("/").status == 200
    assert visitor.ask("/api/studies").json == {"study_summaries": []}
    other = served.visitor(trusts=trusting_anybody())
    key = served.dashboard.link.partition("key=")[2]
    assert other.ask("/api/studies", Authorization=f"Bearer {key}").status == 200


def test_its_certificate_is_good_for_the_names_of_this_machine(make_served):
    served = make_served(EVERYWHERE)
    port = int(served.dashboard.url.rsplit(":", 1)[1].rstrip("/"))
    pem = served.dashboard.certificate.decode()
    context = ssl.create_default_context(cadata=pem)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    visitor = served.visitor(trusts=context)
    visitor.url = f"https://localhost:{port}/"
    assert visitor.ask("/").status == 401


def test_a_client_that_says_nothing_holds_up_nobody(make_served):
    served = make_served(EVERYWHERE)
    port = int(served.dashboard.url.rsplit(":", 1)[1].rstrip("/"))
    silent = [socket.create_connection(("127.0.0.1", port)) for _ in range(20)]
    try:
        assert served.visitor(trusts=trusting_anybody()).ask("/").status == 401
    finally:
        for each in silent:
            each.close()


def test_plain_http_gets_nothing_where_tls_is_spoken(make_served):
    served = make_served(EVERYWHERE)
    port = int(served.dashboard.url.rsplit(":", 1)[1].rstrip("/"))
    with socket.create_connection(("127.0.0.1", port), timeout=30) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        said = b""
        try:
            while part := plain.recv(1000):
                said += part
        except ConnectionResetError:
            pass
        assert b"sparkopt" not in said
    assert served.visitor(trusts=trusting_anybody()).ask("/").status == 401


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"address": "8080"}, "cannot listen at '8080'"),
        ({"address": "192.0.2.1:0"}, "cannot listen at 192.0.2.1:0"),
        ({"tls_cert": "no.pem", "tls_key": "no.key"}, "no.pem cannot be read"),
        ({"tls_cert": "no.pem"}, "belong together"),
    ],
)
def test_what_it_cannot_listen_at_is_refused(arguments, message):
    with pytest.raises(RefusedError, match=message):
        Dashboard(Listen(**{"address": "127.0.0.1:0", **arguments}))


def test_a_port_that_is_taken_is_refused(make_served):
    taken = make_served().dashboard.url.split("/")[2]
    with pytest.raises(RefusedError, match="another program has the port"):
        Dashboard(Listen(taken))


def test_requests_that_are_too_large_are_refused(make_served):
    visitor = make_served().visitor()
    assert visitor.ask("/", X_Large="x" * 40_000).status == 413
