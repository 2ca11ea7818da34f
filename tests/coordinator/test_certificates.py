"""Where others could listen, nothing but TLS with the pool's own certificate gets through."""

from __future__ import annotations

import dataclasses

import grpc
import pytest

from sparkopt.coordinator.transport.certificates import new_certificate
from sparkopt.wire.limits import CERTIFICATE_NAME
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import worker_pb2, worker_pb2_grpc
from tests.coordinator import meetings
from tests.coordinator.rig import SECONDS


@pytest.fixture
def far(make_rig):
    """A rig whose coordinator believes that its workers are elsewhere, and its address from here."""
    rig = make_rig(host="driver.invalid", listen="127.0.0.1")
    host, port = rig.endpoint.address.split(":")
    assert host == "driver.invalid"
    return rig, dataclasses.replace(rig.endpoint, address=f"127.0.0.1:{port}")


def fetch_status(channel, token):
    with channel:
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        request = worker_pb2.FetchRequest(blob="unknown")
        with pytest.raises(grpc.RpcError) as caught:
            list(stub.Fetch(request, metadata=bearer(token), timeout=SECONDS))
        return caught.value.code()


def secure(address, certificate, *options):
    return grpc.secure_channel(address, grpc.ssl_channel_credentials(certificate), options)


NAMED = ("grpc.ssl_target_name_override", CERTIFICATE_NAME)


def test_a_worker_with_the_certificate_works(far):
    rig, endpoint = far
    rig.work(0, endpoint=endpoint)
    study = rig.study(meetings.backwards)
    study.submit(b"ab" * 10**6)
    assert study.result() == b"ba" * 10**6


def test_only_the_pools_certificate_will_do(far):
    _, endpoint = far
    assert endpoint.certificate is not None
    address, token = endpoint.address, endpoint.token
    right = secure(address, endpoint.certificate, NAMED)
    assert fetch_status(right, token) is grpc.StatusCode.NOT_FOUND
    right = secure(address, endpoint.certificate, NAMED)
    assert fetch_status(right, "wrong") is grpc.StatusCode.UNAUTHENTICATED
    unnamed = secure(address, endpoint.certificate)
    assert fetch_status(unnamed, token) is grpc.StatusCode.UNAVAILABLE
    another = secure(address, new_certificate().trusted, NAMED)
    assert fetch_status(another, token) is grpc.StatusCode.UNAVAILABLE
    assert fetch_status(grpc.insecure_channel(address), token) is grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("certificate", ["none", "another"])
def test_a_worker_without_the_certificate_gives_up(far, certificate):
    rig, endpoint = far
    instead = None if certificate == "none" else new_certificate().trusted
    (worker,) = rig.work(0, endpoint=dataclasses.replace(endpoint, certificate=instead), grace=0.3)
    code, words = rig.how_it_ended(worker)
    assert code == 1
    assert "CoordinatorUnreachableError" in words


def test_no_certificate_is_made_for_loopback(rig):
    assert rig.endpoint.certificate is None


def test_secrets_are_not_in_a_repr(far):
    _, endpoint = far
    assert endpoint.token not in repr(endpoint)
    assert "CERTIFICATE" not in repr(endpoint)
    assert repr(new_certificate()) == "Certificate()"
