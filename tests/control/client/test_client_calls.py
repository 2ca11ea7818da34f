"""The client's calls against a search and an evaluation in one pool, and what it refuses before it calls."""

from __future__ import annotations

import dataclasses
import datetime
import json
import threading

import pytest
from click.testing import CliRunner
from hyperopt import hp, rand

from sparkopt import ControlClient, SparkTrials, WorkerPool, fmin
from sparkopt.cli import main
from sparkopt.client import EventKind, StudyKind, TrialState, WorkerState
from sparkopt.errors import (
    BadRequestError,
    LimitExceededError,
    NotAuthorizedError,
    NotFoundError,
    RefusedError,
    UnreachableError,
    WrongStateError,
)
from tests.support import driven


class Searching:
    """A search in a thread of its own, whose objective meets the test."""

    def __init__(self, pool, post, max_evals=4):
        path = post.path
        self.trials = SparkTrials(pool=pool)
        self.best = None
        self._thread = threading.Thread(target=self._search, args=[path, max_evals])
        self._thread.start()

    def _search(self, path, max_evals):
        def objective(x):
            driven.meet(path, str(x))
            return x

        self.best = fmin(
            objective,
            hp.uniform("x", 0, 1),
            algo=rand.suggest,
            max_evals=max_evals,
            trials=self.trials,
            show_progressbar=False,
        )

    def wait(self):
        self._thread.join(60)
        assert not self._thread.is_alive()


def test_a_search_is_looked_at_and_steered(pool, client, post):
    searching = Searching(pool, post)
    visits = post.visits(2)
    status = client.status()
    (study,) = status.studies
    assert (study.kind, study.ended, study.best_loss) == (StudyKind.SEARCH, None, None)
    assert status.trials.leased == 2
    assert status.opened.tzinfo is datetime.timezone.utc
    assert [worker.state for worker in client.workers()] == [WorkerState.BUSY] * 2
    leased = list(client.trials(states=[TrialState.LEASED]))
    assert {str(trial.values["x"]) for trial in leased} == set(visits)
    assert {worker.tid for worker in client.workers()} == {trial.tid for trial in leased}

    # One is cancelled, one finishes, a third is a point of ours, and what is left is stopped.
    cancelled = client.cancel_trial(leased[0].tid, reason="for a test")
    assert cancelled.tid == leased[0].tid
    visits[str(leased[0].values["x"])].wait_for_the_end()
    (tid,) = client.submit([{"x": 0.125}])
    visits[str(leased[1].values["x"])].answer()
    with client.watch() as events:
        while (visit := post.visit()).word != "0.125":
            visit.answer()
        visit.answer()
        settled = next(each for each in events if each.kind is EventKind.SETTLED and each.trial.tid == tid)
    assert settled.trial.loss == 0.125
    searching_study = client.stop(study.name)
    assert searching_study.name == study.name
    searching.wait()
    after = {trial.tid: trial for trial in client.trials(study.name)}
    assert after[leased[0].tid].state is TrialState.CANCELLED
    assert "for a test" in after[leased[0].tid].reason
    assert after[tid].values == {"x": 0.125}
    assert client.status().studies[0].ended is not None


def test_points_are_submitted_to_a_search_from_a_shell(pool, post, tmp_path):
    searching = Searching(pool, post, max_evals=2)
    visits = post.visits(2)
    token, points = tmp_path / "token", tmp_path / "points"
    token.touch(mode=0o600)
    token.write_text(pool.control_token)
    points.write_text('{"x": 0.25}\n\n{"x": 0.5}\n')
    command = ["submit", str(points), "--address", pool.control_address, "--token-file", str(token)]
    result = CliRunner().invoke(main, [*command, "--json"])
    assert result.exit_code == 0, result.output
    tids = json.loads(result.output)["tids"]
    points.write_text('{"x": 0.5}\n{"y": 1}\n')
    refused = CliRunner().invoke(main, command)
    assert refused.exit_code == 1
    for visit in visits.values():
        visit.answer()
    for visit in post.visits(2).values():
        visit.answer()
    searching.wait()
    losses = dict(zip(searching.trials.tids, searching.trials.losses(), strict=True))
    assert sorted(losses[tid] for tid in tids) == [0.25, 0.5]
    assert len(losses) == 4


def test_a_study_is_named_where_there_are_several(pool, client):
    with pool.open_evaluation(abs, name="first"), pool.open_evaluation(abs, name="second"):
        with pytest.raises(WrongStateError) as caught:
            client.stop()
        assert caught.value.reason == "STUDY_NOT_NAMED"
        assert client.stop("first").name == "first"
        assert client.stop("second", finish_running=True).name == "second"
    with pytest.raises(NotFoundError) as caught:
        client.stop()
    assert caught.value.reason == "NO_STUDY"


def test_trials_come_over_several_pages(pool, evaluation, client, monkeypatch):
    monkeypatch.setattr("sparkopt.client.client._PAGE", 7)
    list(client.evaluate([{"x": x} for x in range(30)]))
    assert [trial.tid for trial in client.trials()] == list(range(30))
    assert [trial.tid for trial in client.trials(evaluation.name, states=["ok"])] == list(range(30))
    assert list(client.trials(states=["failed", TrialState.LOST])) == []


def test_what_the_service_refuses_has_its_reason(pool, evaluation, client):
    for call, error, reason in [
        (lambda: client.set_parallelism(3), BadRequestError, "BAD_PARALLELISM"),
        (lambda: client.set_parallelism(-1), BadRequestError, "BAD_PARALLELISM"),
        (lambda: client.cancel_trial(77), NotFoundError, "NO_TRIAL"),
        (lambda: client.drain_worker("nobody"), NotFoundError, "NO_WORKER"),
        (lambda: client.story(77), NotFoundError, "NO_TRIAL"),
        (lambda: client.story("nobody"), NotFoundError, "NO_WORKER"),
        (lambda: client.submit([{"x": 1}]), WrongStateError, "NOT_A_SEARCH"),
        (lambda: client.stop("nothing"), NotFoundError, "NO_STUDY"),
    ]:
        with pytest.raises(error) as caught:
            call()
        assert caught.value.reason == reason


def test_a_token_that_is_good_for_looking_is_good_for_looking(pool, evaluation):
    with ControlClient(pool.control_address, token=pool.control_read_only_token) as looking:
        assert looking.status().parallelism == 2
        assert len(looking.workers()) <= 2
        assert list(looking.trials()) == []
        assert looking.story(looking.workers()[0].name).lines
        with looking.watch() as events:
            assert events.last == looking.status().last_event
        for call in (looking.pause, looking.stop, lambda: next(looking.evaluate([{"x": 1}], in_flight=1))):
            with pytest.raises(NotAuthorizedError):
                call()


def test_a_wrong_token_is_refused_and_not_shown(pool, client):
    with ControlClient(pool.control_address, token="not-the-token") as stranger:
        for call in (stranger.status, stranger.watch, lambda: next(stranger.evaluate([{"x": 1}]))):
            with pytest.raises((NotAuthorizedError, LimitExceededError)) as caught:
                call()
            assert "not-the-token" not in str(caught.value)


def test_parallelism_that_is_no_number_is_refused_before_it_is_sent(client):
    for value in ("2", 2.5, None, True, 2**31):
        with pytest.raises(RefusedError, match="whole number"):
            client.set_parallelism(value)
    with pytest.raises(RefusedError, match="there are pending, leased"):
        client.trials(states=["running"])


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda client: client.watch(study=3), "study must be None or the name of a study, got 3 (int)"),
        (lambda client: client.trials(study=b"one"), "study must be"),
        (lambda client: client.evaluation(3), "study must be"),
        (lambda client: client.stop(3), "study must be"),
        (lambda client: client.stop(finish_running="no"), "finish_running must be True or False"),
        (lambda client: client.trials(states=3), "states must be an iterable of states, got 3 (int)"),
        (lambda client: client.trials(states="running"), "'running' is not a valid"),
        (lambda client: client.cancel_trial(True), "tid must be a whole number, got True"),
        (lambda client: client.cancel_trial(1, reason=3), "reason must be text, got 3 (int)"),
        (lambda client: client.cancel_trial(1, prune="yes"), "prune must be True or False, got 'yes'"),
        (lambda client: client.drain_worker(None), "worker must be text, got None"),
        (lambda client: client.story(None), "about must be a whole number, got None"),
        (lambda client: client.story(1, study=3), "study must be"),
        (lambda client: client.story("gang0.1/worker0", study="one"), "a worker belongs to no study"),
        (lambda client: client.submit({"x": 1}), "points must be an iterable of points"),
        (lambda client: client.submit(None), "points must be"),
        (lambda client: client.evaluate(None), "points must be"),
        (lambda client: client.evaluate({"x": 1}), "points must be"),
        (lambda client: client.evaluate("x"), "points must be"),
        (lambda client: client.evaluate([], in_flight="2"), "in_flight must be None or a whole number"),
        (lambda client: client.evaluate([], in_flight=2.5), "in_flight must be"),
        (lambda client: list(client.evaluate([("id", {"x": 1}, 3)])), "a pair of an id and a mapping"),
    ],
)
def test_an_argument_that_makes_no_sense_is_named(client, call, said):
    with pytest.raises(RefusedError) as caught:
        call(client)
    assert said in str(caught.value)


def test_one_state_may_be_named_alone(evaluation, client):
    list(client.evaluate([{"x": 1.5}]))
    assert [trial.state for trial in client.trials(states="ok")] == ["ok"]


@pytest.mark.parametrize(
    "arguments",
    [
        {"token": ""},
        {"token": "two words"},
        {"token": "line\n"},
        {"token": None},
        {"token": b"bytes"},
        {"token": "t", "timeout": 0},
        {"token": "t", "timeout": "3"},
        {"token": "t", "timeout": None},
        {"token": "t", "timeout": float("inf")},
        {"token": "t", "reconnect": "3"},
        {"token": "t", "reconnect": float("nan")},
        {"token": "t", "ca_cert": 3},
        {"token": "t", "reconnect": -1},
        {"token": "t", "ca_cert": "no-such-file.pem"},
        {"token": "t", "ca_cert": b"no certificate"},
    ],
)
def test_a_client_that_makes_no_sense_is_refused(arguments):
    with pytest.raises(RefusedError) as caught:
        ControlClient("127.0.0.1:7727", **arguments)
    assert [*arguments][-1] in str(caught.value)


@pytest.mark.parametrize("address", ["nowhere", "127.0.0.1", "::1:7727", "host:port", ":7727", "host:0"])
def test_an_address_that_makes_no_sense_is_refused(address):
    with pytest.raises(RefusedError, match="no service at"):
        ControlClient(address, token="t")


@pytest.mark.parametrize("address", [None, 7727, b"host:1", ("host", 1)])
def test_an_address_that_is_no_text_is_refused(address):
    with pytest.raises(RefusedError, match="address must be host:port, as text, got "):
        ControlClient(address, token="t")


@pytest.mark.parametrize(
    "address", ["192.0.2.1:7727", "example.org:7727", "127.example.org:7727", "0.0.0.0:7727"]
)
def test_a_token_does_not_travel_in_the_clear(address):
    with pytest.raises(RefusedError, match="in the clear"):
        ControlClient(address, token="secret-token")


@pytest.mark.parametrize("address", ["127.0.0.1:1", "localhost:1", "[::1]:1", "127.3.2.1:1"])
def test_this_host_needs_no_certificate(address):
    with ControlClient(address, token="t", timeout=5) as client, pytest.raises(UnreachableError):
        client.status()


def test_the_story_of_a_trial_that_has_failed(evaluation, client):
    (outcome,) = client.evaluate([{"x": 1, "raises": "for a test"}])
    trial = outcome.trial
    story = client.story(trial.tid)
    assert (story.study, story.tid, story.worker) == (evaluation.name, trial.tid, "")
    assert story == client.story(trial.tid, study=evaluation.name)
    assert (story.since, story.left_out) == (None, 0)
    assert "outcome=failed" in story.lines[-1].text
    assert all(line.time.tzinfo is datetime.timezone.utc for line in story.lines)
    times = [line.time for line in story.lines]
    assert times == sorted(times)
    of_worker = client.story(trial.worker)
    assert (of_worker.study, of_worker.tid, of_worker.worker) == ("", None, trial.worker)
    assert of_worker.lines[0].text.startswith("WorkerJoined(")
    assert not of_worker.lines[0].command
    assert story.lines[-1].text in [line.text for line in of_worker.lines]


def test_every_value_is_frozen(evaluation, client):
    (outcome,) = client.evaluate([{"x": 1}])
    story = client.story(outcome.trial.tid)
    for value in (outcome, outcome.trial, client.status(), *client.workers(), story, *story.lines):
        with pytest.raises(dataclasses.FrozenInstanceError):
            setattr(value, next(iter(dataclasses.fields(value))).name, 1)


# Watching.


def kinds_until_settled(events, number=1):
    """The events up to so many settled trials."""
    found = []
    while number:
        found.append(next(events))
        number -= found[-1].kind is EventKind.SETTLED
    return found


def test_a_watch_begins_when_it_is_asked_for(evaluation, client):
    list(client.evaluate([{"x": 1}]))
    events = client.watch()
    list(client.evaluate([{"x": 2}]))
    found = kinds_until_settled(events)
    assert [event.kind for event in found] == ["submitted", "started", "settled"]
    assert {event.trial.values["x"] for event in found} == {2}
    assert [event.sequence for event in found] == list(range(found[0].sequence, found[0].sequence + 3))
    assert found[-1].trial.loss == 4.0
    events.close()
    assert list(events) == []


def test_limits_and_pauses_are_events(evaluation, client):
    with client.watch() as events:
        client.set_parallelism(1)
        client.pause()
        client.resume()
        found = [next(events) for _ in range(3)]
    assert [(event.kind, event.parallelism) for event in found] == [
        ("limit_changed", 1),
        ("paused", None),
        ("resumed", None),
    ]


def test_a_watch_outlives_cuts_and_misses_nothing(evaluation, client, distant, line):
    seen = []
    with distant.watch(after=0) as events:
        for round_ in range(4):
            list(client.evaluate([{"x": x} for x in range(5)]))
            seen += kinds_until_settled(events, 2)
            line.cut()
            list(client.evaluate([{"x": x} for x in range(5)]))
            line.mend()
            seen += kinds_until_settled(events, 2 + round_)
        last = client.status().last_event
        while seen[-1].sequence < last:
            seen.append(next(events))
    assert [event.sequence for event in seen] == list(range(1, last + 1))
    assert sum(event.kind is EventKind.SETTLED for event in seen) == 40


def test_a_watch_ends_with_its_pool(spark, post):
    with WorkerPool(2, spark_session=spark, control=True) as pool:
        client = ControlClient(pool.control_address, token=pool.control_token)
        events = client.watch(after=0)
        closing = threading.Thread(target=pool.close)
        closing.start()
        kinds = [event.kind for event in events]
        closing.join()
    client.close()
    assert set(kinds) <= {"worker_joined", "worker_left"}


def test_a_watch_that_cannot_come_back_is_an_error_in_the_end(pool, line):
    with (
        ControlClient(line.address, token=pool.control_token, reconnect=0.5) as distant,
        distant.watch(after=0) as events,
    ):
        line.cut()
        with pytest.raises(UnreachableError):
            list(events)


def test_another_pool_at_the_same_address_is_noticed(spark, tmp_path):
    from sparkopt import Control
    from sparkopt.errors import EventsForgottenError

    with WorkerPool(2, spark_session=spark, control=Control(token="t" * 40)) as first:
        address = first.control_address
        client = ControlClient(address, token="t" * 40)
        events = client.watch()
        events._call.cancel()  # as if the line was lost just before the pool ended
    with (
        WorkerPool(2, spark_session=spark, control=Control(listen=address, token="t" * 40)),
        pytest.raises(EventsForgottenError),
    ):
        next(events)
    client.close()


def test_a_closed_watch_ends_whoever_waits(pool, client):
    client.pause()  # so that nothing happens
    events = client.watch()
    closing = threading.Timer(0.1, events.close)
    closing.start()
    assert all(event.kind in ("worker_joined",) for event in events)
    closing.join()
