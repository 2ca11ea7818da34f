"""Requests that are large, many or slow: refused before they are read, or answered piece by piece."""

from __future__ import annotations

import asyncio
import json
import socket
import threading

import grpc
import pytest

from sparkopt.control import evaluations, submissions
from sparkopt.control.submissions import MOST_POINTS
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.errors import BadRequestError, LimitExceededError
from sparkopt.wire import addresses, limits
from sparkopt.wire.v1 import control_pb2 as pb
from tests.control.frames import DATA, EMPTY_MESSAGE, END_STREAM, PING, PREFACE, RST, frame, headers
from tests.control.hostile import EVALUATE, FETCH, NOTHING, PAUSE, WATCH, error_of, refusal
from tests.coordinator.rig import SECONDS

SERVICE = "/sparkopt.v1.ControlService/"
LIST, STATUS, SUBMIT = f"{SERVICE}ListTrials", f"{SERVICE}GetStatus", f"{SERVICE}SubmitTrials"
TOO_LARGE = (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_LARGE")
LOOKS = ("GetStatus", "ListTrials", "ListWorkers", "WatchEvents", "GetStory", "GetSpace")
STEERS = ("Pause", "Resume", "SetParallelism", "CancelTrial", "StopStudy", "DrainWorker")
SMALL_CALLS = [
    *(f"{SERVICE}{name}" for name in (*LOOKS, *STEERS)),
    *("/grpc.health.v1.Health/Check", "/grpc.health.v1.Health/Watch", FETCH),
    "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
]


def token_for(attacked, call):
    """The one that is good for everything."""
    return attacked.workers.token if "WorkerService" in call else attacked.server.token


@pytest.mark.parametrize("call", SMALL_CALLS)
def test_what_is_larger_than_any_request_is_refused_unread(attacked, call):
    # It could not be read: who reads it says INVALID_ARGUMENT.
    unreadable = b"\xff" * (limits.REQUEST_BYTES + 1)
    channel = attacked.channel(FETCH if "WorkerService" in call else PAUSE)
    refused = attacked.call(call, unreadable, token=token_for(attacked, call), channel=channel)
    assert refusal(refused) == TOO_LARGE


@pytest.mark.parametrize(("call", "most"), [(EVALUATE, limits.EVALUATE_BYTES), (LIST, limits.REQUEST_BYTES)])
def test_the_refusal_says_how_much_is_too_much(attacked, call, most):
    error = error_of(attacked.call(call, bytes(most + 1), token=token_for(attacked, call)))
    assert isinstance(error, LimitExceededError)
    assert f"{most + 1:,} bytes; this call takes at most {most:,}" in str(error)


def test_more_than_any_call_takes_never_comes_in(attacked):
    for call in (LIST, SUBMIT, EVALUATE):
        refused = attacked.call(call, bytes(limits.CONTROL_REQUEST_BYTES + 1), token=attacked.server.token)
        assert refusal(refused)[0] is grpc.StatusCode.RESOURCE_EXHAUSTED


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        (pb.ListTrialsRequest(states=[1] * 101), "states"),
        (pb.ListTrialsRequest(page_token="1" * 60_000), "page_token"),
        (pb.ListTrialsRequest(page_token="1-" + "f" * 60_000), "page_token"),
    ],
)
def test_fields_have_their_limits(attacked, request_, field):
    error = error_of(attacked.call(LIST, request_.SerializeToString(), token=attacked.server.read_only_token))
    assert isinstance(error, BadRequestError)
    assert error.field == field


@pytest.mark.parametrize("name", ["x" * 60_000, "\N{PILE OF POO}" * 15_000])
def test_what_a_refusal_repeats_fits_the_answer(attacked, name):
    for call, request in (
        (LIST, pb.ListTrialsRequest(study=name)),
        (f"{SERVICE}CancelTrial", pb.CancelTrialRequest(study=name)),
        (f"{SERVICE}DrainWorker", pb.DrainWorkerRequest(worker=name)),
        (WATCH, pb.WatchEventsRequest(pool=name)),
    ):
        error = error_of(attacked.call(call, request.SerializeToString(), token=attacked.server.token))
        assert error.reason in ("NO_STUDY", "NO_WORKER", "EVENTS_FORGOTTEN")


# Points.


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"\x12\x00" * 2_000_000, "BAD_POINT"),  # a million empty points, and another million
        (b"\x78\x01" * 2_000_000, "BAD_POINT"),  # fields that nobody knows
        (b"\x12\x00" * 10 + b"\x12\xff", "BAD_MESSAGE"),
        (b"\x0a\x01\xff", "BAD_MESSAGE"),
    ],
)
def test_points_are_counted_before_they_are_read(attacked, body, reason):
    error = error_of(attacked.call(SUBMIT, body, token=attacked.server.token))
    assert isinstance(error, BadRequestError)
    assert error.reason == reason


def test_points_are_read_one_by_one(monkeypatch):
    read = []
    monkeypatch.setattr(submissions, "values_of", read.append)

    async def submitted():
        time_slices = TimeSlices()
        points = [pb.Point(json=json.dumps({"x": number})) for number in range(MOST_POINTS)]
        request = pb.SubmitTrialsRequest(study="s", points=points)
        submission = await submissions.Submission.read(request.SerializeToString(), time_slices)
        await submission.values(time_slices)
        return submission.study, [point.SerializeToString() for point in points]

    assert asyncio.run(submitted()) == ("s", read)


def test_a_large_point_is_read_in_another_thread(rig, monkeypatch):
    read, threads = evaluations.read_point, []

    def noted(point):
        threads.append(threading.current_thread().name == "sparkopt-coordinator")
        return read(point)

    monkeypatch.setattr(evaluations, "read_point", noted)
    rig.evaluation(len)
    stream = rig.stream()
    stream.ask("small", x=1)
    stream.ask("large", x="x" * 100_000)
    rig.until(lambda: len(threads) == 2)
    assert threads == [True, False]


def test_a_large_point_of_a_study_that_stops_meanwhile_is_not_answered(rig, monkeypatch):
    read = evaluations.read_point
    evaluation = rig.evaluation(len)
    stopped = threading.Event()

    def slow(point):
        evaluation.stop()
        rig.until(lambda: rig.server.evaluations.get(evaluation.name).stopping)
        stopped.set()
        return read(point)

    monkeypatch.setattr(evaluations, "read_point", slow)
    stream = rig.stream()
    stream.ask("large", x="x" * 100_000)
    stream.finish()
    assert stream.error().code() is grpc.StatusCode.ABORTED
    assert stopped.wait(SECONDS)


# Answers.


def test_a_page_ends_where_it_is_large_enough(rig, monkeypatch):
    rig.evaluation(len)
    stream = rig.stream()
    for number in range(20):
        stream.ask(f"p{number}", x="x" * 50_000)
    rig.until(lambda: len(rig.server.book.trials) == 4)  # as many as two workers need
    monkeypatch.setattr("sparkopt.control.read_only_calls.PAGE_BYTES", 60_000)
    pages, token = [], ""
    while True:
        page = rig.call("ListTrials", page_token=token)
        pages.append([trial.tid for trial in page.trials])
        assert [len(trial.values["x"]) for trial in page.trials] == [50_000] * len(page.trials)
        if not (token := page.next_page_token):
            break
    assert pages == [[0, 1], [2, 3]]


# Many calls at once.


@pytest.fixture
def few_at_once(monkeypatch):
    monkeypatch.setattr(limits, "CALLS", 2)
    monkeypatch.setattr(limits, "WAITING_CALLS", 1)


def test_calls_beyond_those_that_are_answered_at_once_wait_and_then_are_refused(few_at_once, attacked):
    looks = attacked.server.read_only_token
    held = [attacked.open(STATUS, token=looks) for _ in range(3)]
    peers = attacked.server._server.peers
    until(attacked, lambda: sum(turns._calls for key, turns in peers._calls.items() if key[0]) == 3)
    refused = error_of(attacked.call(STATUS, NOTHING, token=looks))
    assert (refused.reason, refused.retry_after) == ("TOO_MANY_CALLS", 1)
    # Another token has turns of its own, and streams are counted apart.
    assert list(attacked.call(STATUS, NOTHING, token=attacked.server.token))
    assert next(attacked.call(WATCH, NOTHING, token=looks))
    # The one that waits has its turn when another one ends.
    held[0].end()
    held[2].say(NOTHING)
    held[2].say(None)
    assert list(held[2].call)
    held[1].end()
    until(attacked, lambda: not peers._calls)


def test_a_call_whose_turn_does_not_come_is_refused(few_at_once, attacked, monkeypatch):
    monkeypatch.setattr(limits, "CALLS", 1)
    reader = attacked.open(STATUS, token=attacked.server.read_only_token)
    peers = attacked.server._server.peers
    until(attacked, lambda: bool(peers._calls))
    monkeypatch.setattr(limits, "FIRST_MESSAGE_SECONDS", 0.2)
    late = attacked.call(STATUS, NOTHING, token=attacked.server.read_only_token)
    assert refusal(late) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "TOO_MANY_CALLS")
    reader.end()


def test_a_call_whose_client_does_not_read_the_answer_is_ended(rig, monkeypatch):
    rig.evaluation(len)
    stream = rig.stream()
    for number in range(4):
        stream.ask(f"p{number}", x="x" * 200_000)
    rig.until(lambda: len(rig.server.book.trials) == 4)
    monkeypatch.setattr(limits, "CALL_SECONDS", 1.0)
    calls = rig.server._server.peers._calls
    # It never says that there is room for more than the first 64 KiB.
    with socket.create_connection(addresses.split(rig.server.address), SECONDS) as connection:
        connection.sendall(PREFACE + headers(LIST, rig.server.token, 1))
        connection.sendall(frame(DATA, EMPTY_MESSAGE, flags=END_STREAM, stream=1))
        rig.until(lambda: bool(calls))
        rig.until(lambda: not calls)
        connection.sendall(frame(PING, bytes(8)))
        while (said := connection.recv(2**16)) and frame(RST, bytes(4), stream=1)[:9] not in said:
            pass
        assert said


def test_streams_of_who_looks_are_not_those_of_who_steers(attacked, monkeypatch):
    peers = attacked.server._server.peers
    monkeypatch.setattr(peers, "_most", 3)
    looks = attacked.server.read_only_token
    watches = [attacked.call(WATCH, NOTHING, token=looks) for _ in range(3)]
    for watch in watches:
        next(watch)
    assert refusal(attacked.call(WATCH, NOTHING, token=looks))[1] == "TOO_MANY_STREAMS"
    assert next(attacked.call(WATCH, NOTHING, token=attacked.server.token))


def until(attacked, holds) -> None:
    """Have the coordinator's thread look until something holds there."""
    done = threading.Event()

    def look() -> None:
        if holds():
            done.set()
        else:
            attacked.rig.coordinator.post(look)

    attacked.rig.coordinator.post(look)
    assert done.wait(SECONDS), "it does not come to hold"
