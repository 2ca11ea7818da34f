"""The rig, with a temporary directory of its own for the coordinator."""

from __future__ import annotations

import tempfile

import pytest
from rig import Rig

from benchmarks.proxy import Proxy


@pytest.fixture
def make_rig(tmp_path, monkeypatch):
    """Makes a rig; the first argument of :class:`rig.Rig` is given."""
    driver = tmp_path / "driver"
    driver.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(driver))
    rigs = []

    def make(**settings) -> Rig:
        rigs.append(Rig(tmp_path, **settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
    assert list(driver.iterdir()) == [], "files of the coordinator are left"


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
