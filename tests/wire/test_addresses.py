"""Addresses are taken apart and put together, and known for what they are."""

from __future__ import annotations

import pytest

from sparkopt.wire import addresses


@pytest.mark.parametrize(
    ("address", "host", "port"),
    [
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("[::1]:65535", "::1", 65535),
        ("driver.example:7", "driver.example", 7),
    ],
)
def test_there_and_back(address, host, port):
    assert addresses.split(address) == (host, port)
    assert addresses.join(host, port) == address


@pytest.mark.parametrize(
    "address", ["", "host", ":1", "host:", "host:x", "host:65536", "::1:1", "[host]:1", "a:1:2"]
)
def test_what_is_none_is_refused(address):
    with pytest.raises(ValueError, match=r"host|port|brackets|IPv6"):
        addresses.split(address)


def test_a_url_is_told_from_an_ipv6_address():
    with pytest.raises(ValueError, match="without a scheme"):
        addresses.split("http://127.0.0.1:7727")


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_loopback(host):
    assert addresses.is_loopback(host)


@pytest.mark.parametrize(
    "host", ["0.0.0.0", "::", "10.0.0.1", "driver", "127.evil.example", "127.0.0.1.nip.example"]
)
def test_what_is_reached_from_elsewhere_is_not(host):
    assert not addresses.is_loopback(host)


def test_every_interface():
    assert addresses.is_unspecified("0.0.0.0")
    assert addresses.is_unspecified("::")
    assert not addresses.is_unspecified("127.0.0.1")
