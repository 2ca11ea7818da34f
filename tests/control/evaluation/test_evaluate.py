"""Evaluate: points in, outcomes out, from real workers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import grpc
import pytest
from google.protobuf import struct_pb2
from post import SECONDS

from sparkopt.control import kept as kept_room
from sparkopt.control.kept import Kept
from sparkopt.control.values import struct_of
from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.errors import PoolClosedError, PoolLostError, RefusedError
from sparkopt.wire.limits import POINT_BYTES, RESULT_BYTES
from sparkopt.wire.statuses import control_error_of
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc

MIB = 2**20


def local(function):
    """A function that workers need not import."""
    function.__module__ = "__main__"
    return function


@local
def double(point):
    return 2 * point["x"]


@local
def meet(point):
    from meetings import meet

    return meet(point["post"], point["word"])


def reason_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    return error.code(), control_error_of(error).reason


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

    @local
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


def test_large_results_are_answered_again_and_leave_no_files(rig, tmp_path):
    rig.work(0)
    evaluation = rig.evaluation(lambda point: point["letter"] * (5 * MIB))
    stream = rig.stream()
    for letter in "ab":
        stream.ask(letter, letter=letter)
        assert json.loads(stream.outcome().result) == letter * (5 * MIB)
    other = rig.stream()
    for letter in "ba":
        other.ask(letter, letter=letter)
        assert json.loads(other.outcome().result) == letter * (5 * MIB)
    assert len([path for path in (tmp_path / "driver").rglob("*") if path.is_file()]) == 2
    for each in (stream, other):
        each.finish()
        assert each.ends_well()
    evaluation.close()
    assert [path for path in (tmp_path / "driver").rglob("*") if path.is_file()] == []


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


@pytest.mark.parametrize(
    ("name", "point", "reason"),
    [
        ("", control_pb2.Point(json="{}"), "BAD_ID"),
        ("x" * 201, control_pb2.Point(json="{}"), "BAD_ID"),
        ("p", control_pb2.Point(), "BAD_POINT"),
        ("p", control_pb2.Point(json="["), "BAD_POINT"),
        ("p", control_pb2.Point(json="[1]"), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": NaN}'), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": "\\ud800"}'), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": ' + "[" * 40 + "]" * 40 + "}"), "BAD_POINT"),
        ("p", control_pb2.Point(json="[" * 100_000), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": "' + "x" * POINT_BYTES + '"}'), "BAD_POINT"),
        ("p", control_pb2.Point(json='{"x": "refused"}'), "BAD_POINT"),
    ],
)
def test_what_is_no_point_is_rejected_and_the_stream_goes_on(rig, name, point, reason):
    rig.work(0)

    def argument(values):
        if values.get("x") == "refused":
            raise RefusedError("is no point of the space")
        return rig_argument(values)

    rig.evaluation(double, argument)
    stream = rig.stream()
    stream.ask(name, point)
    assert stream.rejection() == (name, reason)
    stream.ask(name or "p", x=1) if len(name) < 200 else stream.ask("p", x=1)
    assert stream.outcome().result == "2"


def rig_argument(values):
    from sparkopt.wire import codec

    return codec.dumps(values)


def test_an_id_is_answered_again_and_runs_once(rig):
    rig.work(0)
    rig.evaluation(meet)
    stream, other = rig.stream(), rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit().answer("once")
    first = stream.hear()
    stream.ask("p", post=rig.post.path, word="p")
    assert stream.hear() == first
    for _ in range(2):
        other.ask("p", word="p", post=rig.post.path)
    assert [other.hear(), other.hear()] == [first, first]
    assert rig.post.nobody_waits()
    assert rig.on_loop(lambda: rig.coordinator.machine.submitted) == 1


def test_an_id_belongs_to_one_point(rig):
    rig.work(0)
    rig.evaluation(double)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert stream.results(1) == {"p": 2}
    stream.ask("p", x=2)
    assert stream.rejection() == ("p", "ID_REUSED")
    stream.ask("p", control_pb2.Point(struct=struct_of({"x": 1})))
    assert stream.results(1) == {"p": 2}


def test_what_runs_is_answered_to_the_newest_stream_that_asks(rig):
    rig.work(0)
    rig.evaluation(meet)
    old, new = rig.stream(), rig.stream()
    old.ask("p", post=rig.post.path, word="p")
    visit = rig.post.visit()
    for _ in range(2):
        new.ask("p", post=rig.post.path, word="p")
    old.finish()
    assert old.ends_well()
    visit.answer("done")
    assert new.results(1) == {"p": "done"}
    new.finish()
    assert new.ends_well()


def test_when_the_client_has_closed_its_side_the_rest_is_answered(rig):
    rig.work(0)
    rig.evaluation(meet)
    stream = rig.stream()
    for word in "abcdef":
        stream.ask(word, post=rig.post.path, word=word)
    stream.finish()
    for _ in range(6):
        rig.post.visit().answer("done")
    assert stream.results(6) == dict.fromkeys("abcdef", "done")
    assert stream.ends_well()


def test_a_stream_that_says_nothing_and_closes_ends_well(rig):
    rig.evaluation(double)
    stream = rig.stream()
    stream.finish()
    assert stream.ends_well()


def test_a_stream_that_is_cut_cancels_nothing(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    words = [f"w{number}" for number in range(10)]
    for word in words:
        stream.ask(word, post=rig.post.path, word=word)
    rig.post.visit().answer("w0 done")
    assert stream.results(1) == {"w0": "w0 done"}
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 10)
    stream.cut()
    for _ in words[1:-1]:
        visit = rig.post.visit()
        visit.answer(f"{visit.word} done")
    other = rig.stream()
    for word in words:
        other.ask(word, post=rig.post.path, word=word)
    visit = rig.post.visit()
    visit.answer(f"{visit.word} done")
    assert other.results(10) == {word: f"{word} done" for word in words}
    assert rig.on_loop(lambda: rig.coordinator.machine.submitted) == 10
    other.finish()
    assert other.ends_well()
    assert rig.on_loop(lambda: len(study._kept._sizes)) == 10, "some would never be forgotten"


def test_what_a_killed_client_has_asked_for_runs_once_whoever_asks_again(rig, tmp_path):
    rig.work(0, 1)

    @local
    def note(point):
        with open(point["file"], "a") as file:  # noqa: PTH123
            file.write(f"{point['number']}\n")
        return point["number"]

    rig.evaluation(note)
    file = str(tmp_path / "runs")
    task = {"address": rig.server.address, "token": rig.server.token, "points": 300, "file": file}
    client = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("client_to_kill.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with client:
        client.stdin.write(f"{json.dumps(task)}\n")
        client.stdin.flush()
        heard = {client.stdout.readline().strip() for _ in range(20)}
        client.kill()
    assert len(heard) == 20
    other = rig.stream()
    for number in range(300):
        other.ask(f"p{number}", number=number, file=file)
    assert other.results(300) == {f"p{number}": number for number in range(300)}
    assert sorted(map(int, Path(file).read_text().split())) == list(range(300))


def test_answers_are_forgotten_oldest_first(rig):
    rig.work(0)
    evaluation = rig.evaluation(double)
    study = rig.studied(evaluation)
    study._kept = Kept(study._forget, answers=2)
    stream = rig.stream()
    # Two are kept; each step is what is asked for, and how many trials there have been by then.
    for number, trials in [(0, 1), (1, 2), (2, 3), (1, 3), (3, 4), (1, 4), (2, 5)]:
        stream.ask(f"p{number}", x=number)
        assert stream.results(1) == {f"p{number}": 2 * number}
        assert rig.on_loop(lambda: rig.coordinator.machine.submitted) == trials
    stream.ask("p0", x=100)
    assert stream.results(1) == {"p0": 200}, "its id is free again"


def test_answers_are_forgotten_when_they_take_too_much_room(rig, tmp_path):
    rig.work(0)
    evaluation = rig.evaluation(lambda point: "x" * (2 * MIB))
    study = rig.studied(evaluation)
    study._kept = Kept(study._forget, bytes_=5 * MIB)
    stream = rig.stream()
    for number in range(3):
        stream.ask(f"p{number}")
        stream.outcome()
    stream.finish()
    assert stream.ends_well()
    assert rig.on_loop(lambda: sorted(study._points)) == ["p1", "p2"]
    assert len([path for path in (tmp_path / "driver").rglob("*") if path.is_file()]) == 2


def test_streams_take_turns(make_rig):
    rig = make_rig(limit=1)
    rig.work(0)
    evaluation = rig.evaluation(meet)
    many, one = rig.stream(), rig.stream()
    for number in range(20):
        many.ask(f"many-{number}", post=rig.post.path, word="many")
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 20)
    one.ask("one", post=rig.post.path, word="one")
    rig.until(lambda: len(study._points) >= 21)
    words = []
    while "one" not in words:
        visit = rig.post.visit()
        words.append(visit.word)
        visit.answer()
    assert len(words) <= 4
    assert one.results(1) == {"one": "done"}
    many.cut()
    for _ in range(21 - len(words)):
        rig.post.visit().answer()
    rig.until(lambda: rig.coordinator.machine.counts().settled == 21)


def test_a_client_that_does_not_read_is_not_read_from_and_holds_nobody_up(rig):
    rig.work(0, 1)
    evaluation = rig.evaluation(lambda point: "x" * point["size"])
    study = rig.studied(evaluation)
    mute = rig.stream()
    for number in range(1000):
        mute.ask(f"mute-{number}", size=100_000)
    other = rig.stream()
    for number in range(200):
        other.ask(f"other-{number}", size=1)
        other.outcome()
    window = int(dict(mute.call.initial_metadata())["sparkopt-window"])

    def held_up() -> bool:
        (asker, *_) = (each for each in study._askers if each._unsent)
        return not asker.owed and len(asker._unsent) == window

    rig.until(held_up)
    asked = rig.on_loop(lambda: len(study._points)) - 200
    assert window <= asked < 1000
    assert len(mute.results(1000)) == 1000
    mute.finish()
    assert mute.ends_well()


def test_a_client_that_sends_everything_at_once_is_held_up(rig):
    evaluation = rig.evaluation(double)
    study = rig.studied(evaluation)
    stream = rig.stream()
    for number in range(100_000):
        stream.ask(f"p{number}", x=number)
    window = int(dict(stream.call.initial_metadata())["sparkopt-window"])
    rig.until(lambda: len(study._points) >= window)
    # Round trips enough for the server to read on, if it did.
    for _ in range(20):
        other = rig.stream()
        other.finish()
        assert other.ends_well()
    assert rig.on_loop(lambda: len(study._points)) == window
    assert stream.taken < 100_000
    stream.cut()


def test_points_that_are_large_together_are_held_up_as_well(make_rig):
    rig = make_rig(limit=100)
    evaluation = rig.evaluation(double)
    study = rig.studied(evaluation)
    stream = rig.stream()
    letters = "x" * (POINT_BYTES - 100)
    for number in range(200):
        stream.ask(f"p{number}", letters=letters)
    rig.until(lambda: sum(point.size for point in study._points.values()) >= 16 * MIB)
    # Round trips enough for the server to read on, if it did.
    for _ in range(20):
        other = rig.stream()
        other.finish()
        assert other.ends_well()
    assert rig.on_loop(lambda: len(study._points)) == 65
    stream.cut()


def test_a_stream_that_sends_nothing_is_ended_and_one_that_thinks_is_not(rig):
    rig.work(0)
    rig.evaluation(double)
    rig.on_loop(lambda: setattr(rig.server.evaluations, "silence", 0.3))
    thoughtful = rig.stream()
    thoughtful.ask("p", x=1)
    assert thoughtful.results(1) == {"p": 2}
    silent = rig.stream()
    assert reason_of(silent.error()) == (grpc.StatusCode.DEADLINE_EXCEEDED, "NOTHING_SENT")
    thoughtful.ask("q", x=2)
    assert thoughtful.results(1) == {"q": 4}


def test_which_study_is_meant(rig):
    rig.work(0)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert reason_of(stream.error()) == (grpc.StatusCode.NOT_FOUND, "NO_STUDY")

    search = rig.study(double)
    rig.on_loop(lambda: None)
    stream = rig.stream()
    stream.ask("p", x=1)
    assert reason_of(stream.error()) == (grpc.StatusCode.FAILED_PRECONDITION, "NOT_EVALUATED")

    evaluation = rig.evaluation(double)
    stream = rig.stream()
    stream.ask("p", x=1)
    error = stream.error()
    assert reason_of(error) == (grpc.StatusCode.FAILED_PRECONDITION, "STUDY_NOT_NAMED")
    assert evaluation.name in error.details()

    stream = rig.stream(study="nobody's")
    stream.ask("p", x=1)
    assert reason_of(stream.error()) == (grpc.StatusCode.NOT_FOUND, "NO_STUDY")

    stream = rig.stream(study=evaluation.name)
    stream.ask("p", x=1)
    stream.send(control_pb2.EvaluateRequest(id="q", point=control_pb2.Point(json='{"x": 2}')))
    assert stream.results(2) == {"p": 2, "q": 4}
    stream.send(control_pb2.EvaluateRequest(id="r", study="study-0"))
    assert reason_of(stream.error()) == (grpc.StatusCode.INVALID_ARGUMENT, "OTHER_STUDY")
    search.channel.close()


def test_what_is_no_request_ends_its_stream_alone(rig):
    rig.work(0)
    rig.evaluation(double)
    stream = rig.stream()
    stream.ask("p", x=1)
    stream.outcome()
    call = rig.channel_to_control().stream_stream("/sparkopt.v1.ControlService/Evaluate")
    garbage = call(iter([b"\xff\xff\xff"]), metadata=bearer(rig.server.token), timeout=SECONDS)
    with pytest.raises(grpc.RpcError) as raised:
        next(garbage)
    assert reason_of(raised.value) == (grpc.StatusCode.INVALID_ARGUMENT, "BAD_MESSAGE")
    stream.ask("q", x=2)
    assert stream.results(1) == {"q": 4}


def test_a_large_result_whose_file_is_gone_ends_its_stream_alone(rig, tmp_path):
    rig.work(0)
    rig.evaluation(lambda point: "x" * (2 * MIB))
    stream = rig.stream()
    stream.ask("p")
    stream.outcome()
    stream.finish()
    assert stream.ends_well()
    for path in (tmp_path / "driver").rglob("*"):
        if path.is_file():
            path.unlink()
    again, other = rig.stream(), rig.stream()
    again.ask("p")
    assert again.error().code() is grpc.StatusCode.INTERNAL
    other.ask("q")
    assert len(other.outcome().result) > MIB


def test_two_evaluations_have_ids_of_their_own(rig):
    rig.work(0)
    one, other = rig.evaluation(double), rig.evaluation(lambda point: -point["x"])
    streams = [rig.stream(study=each.name) for each in (one, other)]
    for stream in streams:
        stream.ask("p", x=3)
    assert [stream.results(1) for stream in streams] == [{"p": 6}, {"p": -3}]


def test_a_trial_that_is_cancelled_is_answered(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    rig.coordinator.tell(events.CancelRequested(evaluation.name, 0, "somebody said so"))
    trial = stream.outcome().trial
    assert (trial.state, trial.reason) == (control_pb2.TRIAL_STATE_CANCELLED, "somebody said so")


def test_a_trial_that_takes_too_long_or_too_many_workers_is_answered(rig):
    rig.work(0, 1)
    evaluation = rig.evaluation(meet, max_attempts=1)
    stream = rig.stream(study=evaluation.name)
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    worker = rig.on_loop(lambda: next(iter(rig.coordinator.machine.trials.values())).worker)
    rig.coordinator.tell(events.WorkerGone(worker, "it is gone"))
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
    rig.coordinator.tell(events.WorkerGone(worker, "it is gone"))
    rig.post.visit().answer("again")
    outcome = stream.outcome()
    assert json.loads(outcome.result) == "again"
    assert (outcome.trial.attempt, outcome.trial.worker != worker) == (2, True)


def test_stopping_cancels_what_runs_and_takes_no_more(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    idle, stream = rig.stream(), rig.stream()
    idle.ask("bad id" * 100)
    idle.rejection()
    for number in range(10):
        stream.ask(f"p{number}", post=rig.post.path, word="p")
    visit = rig.post.visit()
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 10)
    assert not evaluation.wait(0)
    evaluation.stop()
    stopped = (grpc.StatusCode.ABORTED, "STUDY_STOPPED")
    assert reason_of(idle.error()) == stopped
    for _ in range(4):
        assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    assert reason_of(stream.error()) == stopped
    visit.wait_for_the_end()
    assert evaluation.wait(SECONDS)
    late = rig.stream(study=evaluation.name)
    late.ask("q", x=1)
    assert reason_of(late.error()) == stopped
    evaluation.close()


def test_stopping_may_let_what_runs_finish(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    for number in range(3):
        stream.ask(f"p{number}", post=rig.post.path, word="p")
    visit = rig.post.visit()
    study = rig.studied(evaluation)
    rig.until(lambda: len(study._points) >= 3)
    stream.finish()
    evaluation.stop(finish_running=True)
    assert [stream.outcome().trial.state for _ in range(2)] == [control_pb2.TRIAL_STATE_CANCELLED] * 2
    late = rig.stream()
    late.ask("q", x=1)
    assert reason_of(late.error()) == (grpc.StatusCode.ABORTED, "STUDY_STOPPED")
    assert not evaluation.wait(0)
    visit.answer("finished")
    assert stream.results(1) == {"p0": "finished"}
    assert stream.ends_well(), "everything that it has asked for is answered"
    assert evaluation.wait(SECONDS)


@pytest.mark.parametrize("how", ["grace", "again", "close"])
def test_what_may_finish_is_cancelled_when_patience_ends(rig, how):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    visit = rig.post.visit()
    evaluation.stop(finish_running=True, grace=0.1 if how == "grace" else None)
    if how == "again":
        evaluation.stop()
    elif how == "close":
        evaluation.close()
    assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    visit.wait_for_the_end()
    assert evaluation.wait(SECONDS)


def test_when_the_pool_closes_streams_are_told(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    rig.coordinator.expel_all()
    closed = (grpc.StatusCode.UNAVAILABLE, "POOL_CLOSED")
    assert reason_of(stream.error()) == closed
    with pytest.raises(PoolClosedError):
        evaluation.wait(SECONDS)
    late = rig.stream()
    late.ask("q", x=1)
    assert reason_of(late.error()) == closed
    late = rig.evaluation(meet)
    with pytest.raises(PoolClosedError):
        late.wait(SECONDS)
    rig.close()
    after = rig.evaluation
    with pytest.raises(PoolClosedError):
        after(meet)


def test_when_the_pool_has_lost_its_workers_streams_are_told_why(make_rig):
    rig = make_rig(policy=Policy(max_relaunches=0))
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("p", post=rig.post.path, word="p")
    rig.post.visit()
    rig.coordinator.tell(events.GangEnded(0, 1, "the executor burnt down"))
    error = stream.error()
    assert reason_of(error) == (grpc.StatusCode.UNAVAILABLE, "POOL_CLOSED")
    assert "burnt down" in error.details()
    with pytest.raises(PoolLostError, match="burnt down"):
        evaluation.wait(SECONDS)


def test_ids_of_trials_are_known_while_they_run(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    stream.ask("mine", post=rig.post.path, word="p")
    visit = rig.post.visit()
    study = rig.studied(evaluation)
    assert rig.on_loop(lambda: study.request_id(0)) == "mine"
    visit.answer()
    stream.outcome()
    assert rig.on_loop(lambda: study.request_id(0)) == ""


def test_who_looks_sees_the_clients_ids_and_may_stop_the_study(rig):
    rig.work(0)
    evaluation = rig.evaluation(meet)
    stream = rig.stream()
    for name in ("runs", "waits"):
        stream.ask(name, post=rig.post.path, word=name)
    visit = rig.post.visit()
    rig.until(lambda: rig.coordinator.machine.submitted == 2)
    stub, token = control_pb2_grpc.ControlServiceStub(rig.channel_to_control()), bearer(rig.server.token)
    listed = stub.ListTrials(control_pb2.ListTrialsRequest(), metadata=token, timeout=SECONDS)
    assert [(trial.study, trial.tid, trial.request_id) for trial in listed.trials] == [
        (evaluation.name, 0, "runs"),
        (evaluation.name, 1, "waits"),
    ]
    study = stub.StopStudy(control_pb2.StopStudyRequest(finish_running=True), metadata=token, timeout=SECONDS)
    assert study.kind == control_pb2.STUDY_KIND_EVALUATION
    assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    visit.answer("finished")
    assert stream.results(1) == {"runs": "finished"}
    assert reason_of(stream.error()) == (grpc.StatusCode.ABORTED, "STUDY_STOPPED")
    assert evaluation.wait(SECONDS)
    stub.StopStudy(control_pb2.StopStudyRequest(study=study.name), metadata=token, timeout=SECONDS)


def test_the_limits_of_what_is_kept():
    assert (kept_room.ANSWERS, kept_room.BYTES) == (100_000, 256 * MIB)
