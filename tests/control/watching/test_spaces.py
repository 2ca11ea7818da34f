"""Hyperparameters of a search, as clients are told of them."""

from __future__ import annotations

import pytest

from sparkopt import ControlClient
from sparkopt.client import Hyperparameter, HyperparameterKind
from sparkopt.errors import NotFoundError
from sparkopt.study.trial_description import Dimension


@pytest.fixture
def client(rig):
    with ControlClient(rig.server.address, token=rig.server.read_only_token) as client:
        yield client


def test_the_space_that_a_search_has_described(rig, client):
    name = rig.evaluation(abs).name
    dimensions = [
        Dimension("x", "float", 1e-5, 1.0, logarithmic=True),
        Dimension("units", "int", 8, 64, 8),
        Dimension("kind", "choice", options=("svm", None, 3, 0.5, True)),
        Dimension("free"),
    ]
    assert client.space() == []
    rig.server.describe_space(name, [dimension.to_plain() for dimension in dimensions])
    rig.on_loop(lambda: None)
    float_, int_, choice = HyperparameterKind.FLOAT, HyperparameterKind.INT, HyperparameterKind.CHOICE
    expected = [
        Hyperparameter("x", float_, 1e-5, 1.0, None, True, ()),
        Hyperparameter("units", int_, 8.0, 64.0, 8.0, False, ()),
        Hyperparameter("kind", choice, None, None, None, False, ("svm", None, 3, 0.5, True)),
        Hyperparameter("free", float_, None, None, None, False, ()),
    ]
    assert client.space() == client.space(name) == expected
    with pytest.raises(NotFoundError):
        client.space("another")
    rig.server.describe_space("another", [])  # a study that was never opened
    rig.on_loop(lambda: None)
    assert client.space() == expected
