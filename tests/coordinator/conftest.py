"""The rig, with a temporary directory of its own for the coordinator."""

from __future__ import annotations

import psutil
import pytest

from sparkopt.core import events
from tests.coordinator.rig import Rig, process_a, rigs
from tests.support.proxy import Proxy


@pytest.fixture
def make_rig(tmp_path):
    """Makes a rig; the first argument of :class:`rig.Rig` is given."""
    with rigs(tmp_path, Rig) as make:
        yield make


@pytest.fixture
def rig(make_rig) -> Rig:
    """A rig for up to two trials at once."""
    return make_rig()


@pytest.fixture
def line(rig):
    """A line to the rig's coordinator that can be cut."""
    proxy = Proxy(rig.endpoint.address)
    yield proxy
    rig.close()
    proxy.close()


@pytest.fixture
def driver():
    return psutil.Process()


@pytest.fixture
def worker(rig):
    """A worker's process A, once it has joined."""
    (task,) = rig.work(0)
    rig.heard(events.WorkerJoined)
    return process_a(task)
