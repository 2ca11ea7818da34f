"""Intermediate values of points come back on the stream that has asked for them."""

from __future__ import annotations

import pytest

from sparkopt import ControlClient
from sparkopt.errors import ControlError, RefusedError
from sparkopt.wire.v1 import control_pb2
from tests.control.evaluation.evaluated import checkpointed, double, reports


@pytest.fixture
def client(rig):
    rig.work(0)
    with ControlClient(rig.server.address, token=rig.server.token) as client:
        yield client


def test_a_client_hears_them_before_the_outcome(rig, client):
    rig.evaluation(reports)
    heard = []
    points = [(f"p{x}", {"x": x}) for x in range(3)]
    for outcome in client.evaluate(points, on_value=lambda name, value: heard.append((name, value))):
        assert outcome.ok
        mine = [value for name, value in heard if name == outcome.id]
        assert (mine[0].step, mine[-1].step) == (1, 30)
        assert (mine[-1].value, mine[-1].tid, mine[-1].attempt) == (
            outcome.point["x"] / 30,
            outcome.trial.tid,
            1,
        )
        assert len(mine) < 15


def test_a_stream_that_has_not_asked_gets_answers_alone(rig, client):
    rig.evaluation(reports)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert stream.hear().HasField("evaluation")
    stream.finish()
    assert stream.ends_well()


def test_values_of_a_point_precede_its_answer_and_no_others(rig):
    rig.work(0)
    rig.evaluation(reports)
    stream = rig.stream()
    point = control_pb2.Point(json='{"x": 1}')
    stream.send(control_pb2.EvaluateRequest(id="p", point=point, values=True))
    stream.send(control_pb2.EvaluateRequest(id="q", point=point))
    heard = [stream.hear()]
    while sum(each.HasField("evaluation") for each in heard) < 2:
        heard.append(stream.hear())
    for name in ("p", "q"):
        ours = [each.WhichOneof("answer") for each in heard if each.id == name]
        assert ours == ["value"] * (len(ours) - 1) + ["evaluation"]
        assert len(ours) > 1


def test_what_on_value_raises_ends_the_stream(rig, client):
    rig.evaluation(reports)

    def on_value(name, value):
        raise ZeroDivisionError("mine")

    with pytest.raises(ControlError, match="on_value has raised ZeroDivisionError: mine") as caught:
        list(client.evaluate([{"x": 1}], on_value=on_value))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_on_value_has_to_be_a_function(rig, client):
    rig.evaluation(double)
    with pytest.raises(RefusedError, match="on_value"):
        client.evaluate([{"x": 1}], on_value=3)


def test_points_have_checkpoints(rig, client):
    rig.evaluation(checkpointed)
    outcomes = client.evaluate([(f"p{x}", {"x": x}) for x in range(3)])
    assert sorted(outcome.result for outcome in outcomes) == [2**21 + x for x in range(3)]
