"""Dashboards of the test's own, and a pool of real workers that is open to control."""

from __future__ import annotations

import pytest

from sparkopt import ControlClient
from sparkopt.dashboard.dashboards import Dashboard, Listen
from tests.control.controlled_rig import ControlledRig
from tests.coordinator.rig import rigs
from tests.dashboard.visitor import Served


@pytest.fixture
def make_served():
    """Makes dashboards that answer; takes the arguments of :class:`Listen`."""
    made: list[Served] = []

    def make(address="127.0.0.1:0", **more) -> Served:
        made.append(Served(Dashboard(Listen(address, **more))))
        return made[-1]

    yield make
    for each in made:
        each.close()


@pytest.fixture
def rig(tmp_path):
    with rigs(tmp_path, ControlledRig) as make:
        yield make()


@pytest.fixture
def followed(rig, make_served):
    """A dashboard that follows the rig's pool, with the control token."""
    served = make_served()
    client = ControlClient(rig.server.address, token=rig.server.token)
    served.dashboard.follow(rig.server.address, client, rig.server.token)
    rig.until(lambda: rig.server.feed.wants_values)
    return served
