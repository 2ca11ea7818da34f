"""A pool open to control: a coordinator with its control service, and its clients; no Spark."""

from __future__ import annotations

import tempfile

import cloudpickle
import pytest
import study_tools
from watched_rig import WatchedRig

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(study_tools)


@pytest.fixture
def make_rig(tmp_path, monkeypatch):
    """Makes a rig; the first argument of :class:`WatchedRig` is given."""
    driver = tmp_path / "driver"
    driver.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(driver))
    rigs = []

    def make(**settings) -> WatchedRig:
        rigs.append(WatchedRig(tmp_path, **settings))
        return rigs[-1]

    yield make
    for rig in rigs:
        rig.close()
    assert list(driver.iterdir()) == [], "files of the coordinator are left"


@pytest.fixture
def rig(make_rig) -> WatchedRig:
    """A rig for up to two trials at once."""
    return make_rig()
