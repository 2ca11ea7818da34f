"""A pool that is open to control, a search on it that goes on beside the test, and who attacks both."""

from __future__ import annotations

import tempfile

import pytest
from evaluation_rig import EvaluationRig
from hostile import Attacked
from rig import rigs

from sparkopt import Control
from sparkopt.control import ControlServer
from sparkopt.core.records import Policy


@pytest.fixture
def make_attacked(tmp_path):
    """Makes an attacked pool; takes the arguments of :class:`~sparkopt.Control`, and the driver's host."""
    with rigs(tmp_path) as make:
        made = []

        def attacked(host: str = "127.0.0.1", policy: Policy | None = None, **control) -> Attacked:
            server = ControlServer(Control(**control))
            made.append(Attacked(make(host=host, policy=policy, observer=server), server))
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


@pytest.fixture
def make_rig(tmp_path, monkeypatch):
    """Makes a rig; the first argument of :class:`EvaluationRig` is given."""
    driver = tmp_path / "driver"
    driver.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(driver))
    rigs = []

    def make(**settings) -> EvaluationRig:
        rigs.append(EvaluationRig(tmp_path, **settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
    assert list(driver.iterdir()) == [], "files of the coordinator are left"


@pytest.fixture
def rig(make_rig) -> EvaluationRig:
    """A rig for up to two trials at once."""
    return make_rig()
