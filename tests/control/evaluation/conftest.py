"""A pool open to control: a coordinator with its control service, real workers, and clients; no Spark."""

from __future__ import annotations

import tempfile

import cloudpickle
import evaluated
import pytest
from evaluation_rig import EvaluationRig

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(evaluated)


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
