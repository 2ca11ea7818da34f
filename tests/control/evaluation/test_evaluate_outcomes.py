"""Evaluate: points in, outcomes out, from real workers, and what each outcome says."""

from __future__ import annotations

import json
import math

import pytest
from google.protobuf import struct_pb2

from sparkopt.control.values import struct_of
from sparkopt.core import events
from sparkopt.wire.limits import RESULT_BYTES
from sparkopt.wire.v1 import control_pb2
from tests.control.evaluation.evaluated import double, meet, report_for_ever

MIB = 2**20


def test_points_are_answered_with_their_outcomes(rig):
    rig.work(0, 1)
    rig.evaluation(double)
    stream = rig.stream()
    for number in range(20):
        stream.ask(f"p{number}", x=number)
    assert stream.results(20) == {f"p{number}": 2 * number for number in range(20)}
    stream.finish()
    assert stream.ends_well()
    window = dict(stream.call.initial_metadata())["sparkopt-window"]
    assert int(window) >= 2


def test_an_outcome_tells_of_its_trial(rig):
    rig.work(0)
    evaluation = rig.evaluation(double)
    stream = rig.stream()
    stream.ask("first", control_pb2.Point(struct=struct_of({"x": 1.5, "nan": math.nan, "list": [1, None]})))
    outcome = stream.outcome()
    trial = outcome.trial
    assert (trial.study, trial.tid, trial.attempt) == (evaluation.name, 0, 1)
    assert trial.state == control_pb2.TRIAL_STATE_OK
    assert (trial.worker, trial.request_id) == ("gang0.1/worker0", "first")
    assert trial.host
    assert trial.values == struct_of({"x": 1.5, "nan": "NaN", "list": [1, None]})
    assert (
        0 < trial.submitted.ToNanoseconds() <= trial.started.ToNanoseconds() <= trial.settled.ToNanoseconds()
    )
    assert (trial.loss, outcome.result) == (3.0, "3.0")
    assert not outcome.HasField("failure")


def test_outcomes_come_in_the_order_in_which_they_complete(rig):
    rig.work(0, 1)
    rig.evaluation(meet)
    stream = rig.stream()
    for word in ("one", "two"):
        stream.ask(word, post=rig.post.path, word=word)
    visits = rig.post.visits(2)
    visits["two"].answer("second")
    assert stream.outcome().trial.request_id == "two"
    visits["one"].answer("first")
    assert json.loads(stream.outcome().result) == "first"


@pytest.mark.parametrize(
    ("point", "came"),
    [
        (
            control_pb2.Point(json='{"a": 1, "b": 1.0, "c": "x", "d": null, "e": [true, 2]}'),
            {"a": "int", "b": "float", "c": "str", "d": "NoneType", "e": "list"},
        ),
        (
            control_pb2.Point(
                struct=struct_of({"a": 1, "b": 1.5, "c": 2.0**53, "d": 2.0**60, "e": {"f": 1}})
            ),
            {"a": "int", "b": "float", "c": "int", "d": "float", "e": "dict"},
        ),
        (control_pb2.Point(struct=struct_pb2.Struct()), {}),
    ],
)
def test_numbers_come_as_what_they_are(rig, point, came):
    rig.work(0)

    def types(point):
        return {name: type(value).__name__ for name, value in point.items()}

    rig.evaluation(types)
    stream = rig.stream()
    stream.ask("p", point)
    assert json.loads(stream.outcome().result) == came


def test_a_failure_is_told_with_its_traceback_from_the_objective_on(rig):
    rig.work(0)

    def fail(point):
        raise ValueError(f"no {point['x']}\nat all")

    rig.evaluation(fail)
    stream = rig.stream()
    stream.ask("p", x=1)
    outcome = stream.outcome()
    assert outcome.trial.state == control_pb2.TRIAL_STATE_FAILED
    assert outcome.trial.reason == "ValueError: no 1"
    assert (outcome.failure.type, outcome.failure.message) == ("ValueError", "no 1\nat all")
    assert "in fail" in outcome.failure.traceback
    assert "outside.py" not in outcome.failure.traceback
    assert outcome.result == ""


def test_hyperopts_dictionary_is_an_object_like_any_other_and_has_a_loss(rig):
    rig.work(0)

    def objective(point):
        import numpy as np

        return {"status": "ok", "loss": np.float32(0.5), "all": np.arange(2), "far": -math.inf}

    rig.evaluation(objective)
    stream = rig.stream()
    stream.ask("p")
    outcome = stream.outcome()
    assert json.loads(outcome.result) == {"status": "ok", "loss": 0.5, "all": [0, 1], "far": "-Infinity"}
    assert outcome.trial.loss == 0.5


def test_a_result_that_json_cannot_say_fails_the_trial_and_names_the_part(rig):
    rig.work(0)
    rig.evaluation(lambda point: {"model": [1, {2}]})
    stream = rig.stream()
    stream.ask("p")
    failure = stream.outcome().failure
    assert failure.type == "sparkopt.errors.ResultError"
    assert "['model'][1] is a set" in failure.message


def test_a_result_that_fits_no_message_fails_the_trial(rig):
    rig.work(0)
    rig.evaluation(lambda point: "x" * (point["size"] - 2))
    stream = rig.stream()
    stream.ask("large", size=RESULT_BYTES)
    assert len(stream.outcome().result) == RESULT_BYTES
    stream.ask("too large", size=RESULT_BYTES + 1)
    failure = stream.outcome().failure
    assert failure.type == "sparkopt.errors.ResultError"
    assert f"{RESULT_BYTES + 1:,} bytes" in failure.message


def test_a_large_exception_leaves_no_file(rig, tmp_path):
    rig.work(0)

    def fail(point):
        raise ValueError("x" * (2 * MIB))

    rig.evaluation(fail)
    stream = rig.stream()
    stream.ask("p")
    assert stream.outcome().failure.type == "ValueError"
    assert [path for path in (tmp_path / "driver").rglob("*") if path.is_file()] == []


def test_a_trial_that_is_cancelled_is_answered(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    rig.coordinator.post_event(events.CancelRequested(evaluation.name, 0, "somebody said so"))
    trial = stream.outcome().trial
    assert (trial.state, trial.reason) == (control_pb2.TRIAL_STATE_CANCELLED, "somebody said so")


def test_a_trial_that_the_client_prunes_is_answered(rig):
    rig.work(0)
    evaluation = rig.evaluation(report_for_ever)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit().answer()
    rig.call("CancelTrial", study=evaluation.name, tid=0, reason="not as good as others", prune=True)
    outcome = stream.outcome()
    assert (outcome.trial.state, outcome.trial.reason) == (
        control_pb2.TRIAL_STATE_PRUNED,
        "not as good as others",
    )
    assert not outcome.HasField("failure")
    assert not outcome.result


def test_a_trial_that_takes_too_long_or_too_many_workers_is_answered(rig):
    rig.work(0, 1)
    evaluation = rig.evaluation(meet, max_attempts=1)
    stream = rig.stream(study=evaluation.name)
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    worker = rig.on_loop(lambda: next(iter(rig.coordinator.machine.trials.values())).worker)
    rig.coordinator.post_event(events.WorkerGone(worker, "it is gone"))
    trial = stream.outcome().trial
    assert (trial.state, trial.attempt) == (control_pb2.TRIAL_STATE_LOST, 1)
    slow = rig.evaluation(meet, trial_timeout=0.2)
    stream = rig.stream(study=slow.name)
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    assert stream.outcome().failure.type == "sparkopt.errors.TrialTimeoutError"


def test_a_trial_that_runs_again_tells_of_its_last_attempt(rig):
    rig.work(0, 1)
    rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    worker = rig.on_loop(lambda: next(iter(rig.coordinator.machine.trials.values())).worker)
    rig.coordinator.post_event(events.WorkerGone(worker, "it is gone"))
    rig.post.visit().answer("again")
    outcome = stream.outcome()
    assert json.loads(outcome.result) == "again"
    assert (outcome.trial.attempt, outcome.trial.worker != worker) == (2, True)
