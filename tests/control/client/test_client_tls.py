"""Off loopback: TLS, with the certificate that was made for the pool."""

from __future__ import annotations

import pytest

from sparkopt import ControlClient, WorkerPool
from sparkopt.coordinator.transport.certificates import new_certificate
from sparkopt.errors import RefusedError, UnreachableError


@pytest.fixture
def pool(spark):
    """Open to control from everywhere."""
    with WorkerPool(2, spark_session=spark, control="0.0.0.0:0") as opened:
        yield opened


def test_the_pools_certificate_is_believed(pool, evaluation, tmp_path):
    file = tmp_path / "sparkopt.pem"
    file.write_bytes(pool.control_certificate)
    for ca_cert in (pool.control_certificate, file, str(file)):
        with ControlClient(pool.control_address, token=pool.control_token, ca_cert=ca_cert) as client:
            assert next(client.evaluate([{"x": 3}], in_flight=1)).result == 9


def test_it_is_believed_at_an_address_that_is_not_in_it(pool, evaluation):
    address = f"127.0.0.2:{pool.control_address.rpartition(':')[2]}"
    with ControlClient(address, token=pool.control_token, ca_cert=pool.control_certificate) as client:
        assert next(client.evaluate([{"x": 3}], in_flight=1)).result == 9


def test_another_certificate_is_not(pool):
    other = new_certificate(["127.0.0.1"]).trusted
    with (
        ControlClient(pool.control_address, token=pool.control_token, ca_cert=other) as client,
        pytest.raises(UnreachableError, match="ca_cert"),
    ):
        client.status()


def test_without_one_nothing_is_said(pool):
    port = pool.control_address.rpartition(":")[2]
    with (
        ControlClient(f"127.0.0.1:{port}", token=pool.control_token, timeout=5) as client,
        pytest.raises(UnreachableError, match="TLS"),
    ):
        client.status()


def test_what_is_no_certificate_is_refused(pool, tmp_path):
    with pytest.raises(RefusedError, match="PEM"):
        ControlClient(pool.control_address, token="t", ca_cert=b"-----BEGIN")
    with pytest.raises(RefusedError, match="cannot be read"):
        ControlClient(pool.control_address, token="t", ca_cert=tmp_path / "none.pem")
