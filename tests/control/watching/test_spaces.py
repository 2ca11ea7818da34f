"""Hyperparameters of a search, as clients are told of them."""

from __future__ import annotations

import dataclasses

import pytest

from sparkopt import ControlClient
from sparkopt.client import Direction, Hyperparameter, HyperparameterKind, StudyInfo
from sparkopt.errors import NotFoundError
from sparkopt.study.trial_description import Dimension
from tests.control.watching.played import attempt_of, ok
from tests.coordinator import meetings


@pytest.fixture
def client(rig):
    with ControlClient(rig.server.address, token=rig.server.read_only_token) as client:
        yield client


def test_the_space_that_a_search_has_described(rig, client):
    dimensions = [
        Dimension("x", "float", 1e-5, 1.0, logarithmic=True),
        Dimension("units", "int", 8, 64, 8),
        Dimension("kind", "choice", options=("svm", None, 3, 0.5, True)),
        Dimension("free"),
    ]
    name = "evaluation-0"
    rig.server.describe_study(name, [dimension.to_plain() for dimension in dimensions])
    assert rig.evaluation(abs).name == name
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


def test_a_study_that_nobody_has_described_has_no_space(rig, client):
    rig.evaluation(abs)
    assert client.space() == []


def test_directions_and_the_values_that_they_are_of(rig, client):
    peer = rig.joined_peer()
    watch = client.watch(after=0)
    rig.server.describe_study("study-0", directions=["minimize", "maximize"])
    study = rig.study(meetings.double)
    assert study.name == "study-0"
    study.submit("one", "two")
    peer.outcome(attempt_of(peer), 1, **ok(), objective_values=[0.5, -2.0])
    peer.outcome(attempt_of(peer), 2, **ok(), objective_values=[0.5])  # of no directions that are known
    told, settled = {}, set()
    with watch:
        for event in watch:
            told[event.kind] = event
            settled |= {event.trial.tid} if event.kind == "settled" else set()
            if len(settled) == 2:
                break
    assert told["study_opened"].study.directions == ("minimize", "maximize")
    (study_info,) = client.status().studies
    assert (study_info.directions, study_info.best_loss) == (("minimize", "maximize"), None)
    one, two = client.trials()
    assert (one.objective_values, one.loss, two.objective_values) == ((0.5, -2.0), None, ())


def test_the_best_of_a_study_that_maximizes_is_the_largest():
    info = StudyInfo("s", "search", None, None, None, -2.0, 1, (Direction.MAXIMIZE,))
    assert info.best_value == 2.0
    assert dataclasses.replace(info, directions=()).best_value == -2.0
