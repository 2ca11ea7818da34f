"""The coordinator listens where it is told to, and nowhere else."""

from __future__ import annotations

import ipaddress
import socket

import psutil
import pytest

from sparkopt.control import Control, ControlServer
from sparkopt.coordinator import Coordinator
from sparkopt.errors import PoolLostError, RefusedError
from sparkopt.wire import addresses
from tests.coordinator.rig import SECONDS


def listens_at(port: int) -> set[str]:
    """Returns the addresses at which this process listens on a port, as people write them."""
    found = set()
    for connection in psutil.Process().net_connections("inet"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
            ip = ipaddress.ip_address(connection.laddr.ip)
            found.add(str(getattr(ip, "ipv4_mapped", None) or ip))
    return found


def own_addresses() -> list[str]:
    """The addresses of this machine, but for those that hold on one link only."""
    found = [each.address for interface in psutil.net_if_addrs().values() for each in interface]
    return [each for each in found if _is_usable(each)]


def _is_usable(text: str) -> bool:
    try:
        return not ipaddress.ip_address(text).is_link_local
    except ValueError:
        return False


def reaches(host: str, port: int) -> bool:
    """Whether somebody listens there."""
    try:
        socket.create_connection((host, port), SECONDS).close()
    except ConnectionRefusedError:
        return False
    return True


@pytest.mark.parametrize("host", own_addresses())
def test_at_the_drivers_address_alone(make_rig, host):
    rig = make_rig(host=host)
    assert addresses.split(rig.endpoint.address)[0] == host
    port = addresses.split(rig.endpoint.address)[1]
    assert listens_at(port) == {host}
    assert {other for other in own_addresses() if reaches(other, port)} == {host}


def test_at_every_address_of_a_name(make_rig):
    rig = make_rig(host="localhost")
    port = addresses.split(rig.endpoint.address)[1]
    assert listens_at(port) <= {"127.0.0.1", "::1"}
    assert reaches("localhost", port)
    assert rig.endpoint.certificate is None


def test_where_it_is_told_to_while_workers_are_told_another_address(make_rig):
    rig = make_rig(host="gateway.invalid", listen="127.0.0.1")
    host, port = addresses.split(rig.endpoint.address)
    assert host == "gateway.invalid"
    assert listens_at(port) == {"127.0.0.1"}
    assert rig.endpoint.certificate is not None


def test_on_every_interface_only_if_it_is_told_so(make_rig):
    rig = make_rig(listen="0.0.0.0")
    port = addresses.split(rig.endpoint.address)[1]
    assert listens_at(port) & {"0.0.0.0", "::"}
    assert rig.endpoint.certificate is not None


@pytest.mark.parametrize("host", ["203.0.113.9", "host.invalid"])
def test_an_address_that_is_not_here_is_refused(host):
    server = ControlServer(Control())
    coordinator = Coordinator(
        1, host, lambda *_: None, lambda reason, _: PoolLostError(reason), observer=server
    )
    failed = []
    coordinator._thread.loop.set_exception_handler(lambda _, context: failed.append(context))
    try:
        with pytest.raises(RefusedError, match="cannot listen for workers at"):
            coordinator.start()
        coordinator.expel_all()  # as its pool does then
    finally:
        coordinator.close()
    assert failed == []
