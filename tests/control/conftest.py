"""A pool that is open to control, with its clients, or with a search beside the test and who attacks both."""

from __future__ import annotations

import pytest

from sparkopt import Control
from sparkopt.control import ControlServer
from sparkopt.core.records import Policy
from tests.control.controlled_rig import ControlledRig
from tests.control.hostile import Attacked
from tests.coordinator.rig import Rig, rigs


@pytest.fixture
def make_rig(tmp_path):
    """Makes a rig; the first argument of :class:`ControlledRig` is given."""
    with rigs(tmp_path, ControlledRig) as make:
        yield make


@pytest.fixture
def rig(make_rig) -> ControlledRig:
    """A rig for up to two trials at once."""
    return make_rig()


@pytest.fixture
def make_attacked(tmp_path):
    """Makes an attacked pool; takes the arguments of :class:`~sparkopt.Control`, and where the driver is."""
    with rigs(tmp_path, Rig) as make:
        made = []

        def attacked(
            host: str = "127.0.0.1", bound: str | None = None, policy: Policy | None = None, **control
        ) -> Attacked:
            server = ControlServer(Control(**control))
            made.append(Attacked(make(host=host, listen=bound, policy=policy, observer=server), server))
            return made[-1]

        try:
            yield attacked
        finally:
            for each in made:
                each.close()


@pytest.fixture
def attacked(make_attacked) -> Attacked:
    """One whose search runs, whatever the test does; when it has ended, each trial has its own result."""
    each = make_attacked()
    each.search()
    return each
