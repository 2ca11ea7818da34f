"""The tracker by itself: what comes at the same time, and what comes at a search's end; no Spark."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import mlflow
import pytest

from sparkopt.core.states import Outcome
from sparkopt.errors import TrackingWarning
from sparkopt.hyperopt.tracked import NAMES
from sparkopt.study.search_summary import SearchSummary
from sparkopt.study.trial_record import Proposal, TrialRecord
from sparkopt.tracking import writer as room
from sparkopt.tracking.record_replay import replay
from sparkopt.tracking.study_description import StudyDescription
from sparkopt.tracking.tracker import Tracker
from sparkopt.wire import forks
from tests.tracking.runs import children, main_runs

SPACE = SimpleNamespace(
    text="x", options={}, values=lambda values: {name: str(values[name]) for name in values}
)
COUNTS = SearchSummary({"successful": 1, "failed": 0, "cancelled": 0, "total": 1})


class Channel:
    """A study's channel that a test drives."""

    def register(self, lane, take):
        self.take = take

    def reply(self, request, answer):
        """Nobody asks."""


@pytest.fixture
def tracked(store):
    """A tracker whose study has proposed trial 0, and its channel."""
    tracker = Tracker(StudyDescription("a search", {}, {}, SPACE, NAMES))
    channel = Channel()
    tracker.opened(channel)
    record = TrialRecord(Proposal(0, {"x": 1.5}))
    tracker.proposed([record])
    return SimpleNamespace(tracker=tracker, channel=channel, record=record)


def settle(tracked):
    now = time.time()
    record = tracked.record
    record.outcome, record.attempt, record.settled, record.seconds = Outcome.OK, 1, now, 0.2
    record.loss, record.metrics = 2.5, [("loss", 2.5)]
    tracked.tracker.settled(record)


class Interleaved(dict):
    """Has something done after a thread of the writer has looked into it so many times."""

    def __init__(self, content, looks, do):
        super().__init__(content)
        self._looks, self._do = looks, do

    def _looked(self):
        if threading.current_thread().name == "sparkopt-tracking" and self._looks:
            self._looks.pop()
            if not self._looks:
                self._do()

    def get(self, *arguments):
        found = super().get(*arguments)
        self._looked()
        return found

    def pop(self, *arguments):
        found = super().pop(*arguments)
        self._looked()
        return found


@pytest.mark.parametrize("after", [1, 2])
def test_a_trial_that_settles_as_its_run_is_made_has_its_run(tracked, store, after):
    looks, tracker = [None] * after, tracked.tracker
    for name in ("_begun", "_unmade"):
        setattr(tracker, name, Interleaved(getattr(tracker, name), looks, lambda: settle(tracked)))
    tracked.channel.on_begun(0, time.time())
    tracker._writer._lanes.drain()
    tracker.close(COUNTS, "FINISHED", lambda left: None)
    (run,) = children(store, main_runs(store)[0]).values()
    assert (run.info.status, run.data.params, run.data.metrics["loss"]) == ("FINISHED", {"x": "1.5"}, 2.5)


def test_a_run_that_is_still_to_be_made_when_the_search_is_interrupted_ends(tracked, store):
    there = threading.Event()
    tracked.tracker._writer.call(0, there.wait)
    tracked.channel.on_begun(0, time.time())
    tracked.tracker.close(COUNTS, "KILLED", lambda left: there.set())
    (run,) = children(store, main_runs(store)[0]).values()
    assert (run.info.status, run.data.params) == ("KILLED", {"x": "1.5"})


def test_whoever_says_late_that_a_trial_runs_leaves_nothing_behind(tracked, store):
    tracker = tracked.tracker
    settle(tracked)
    tracked.channel.on_begun(0, time.time())
    tracker.close(COUNTS, "FINISHED", lambda left: None)
    assert (tracker._begun, tracker._asked, tracker._unmade) == ({}, set(), {})
    assert len(children(store, main_runs(store)[0])) == 1


def test_parameters_that_become_known_while_a_trial_runs_are_logged_meanwhile(store):
    description = StudyDescription("a search", {}, {}, SPACE, NAMES, grows=True)
    tracker, channel, values = Tracker(description), Channel(), {}
    tracker.opened(channel)
    record = TrialRecord(Proposal(0, values))
    tracker.proposed([record])
    values["early"] = 1
    tracker.amended(0)
    channel.on_begun(0, time.time())
    tracker._writer._lanes.drain()
    values["while it runs"] = 2
    tracker.amended(0)
    tracker._writer._lanes.drain()
    (run,) = children(store, main_runs(store)[0]).values()
    assert (run.info.status, run.data.params) == ("RUNNING", {"early": "1", "while it runs": "2"})
    values["at last"] = 3
    settle(SimpleNamespace(tracker=tracker, record=record))
    tracker.amended(0)
    tracker.close(COUNTS, "FINISHED", lambda left: None)
    (run,) = children(store, main_runs(store)[0]).values()
    assert run.data.params == {"early": "1", "while it runs": "2", "at last": "3"}
    assert (tracker._growing, tracker._given) == ({}, {})


def test_a_forked_child_ends_nothing_of_its_parents(tracked, store, monkeypatch):
    monkeypatch.setattr(forks._State, "holds", True)
    child = os.fork()
    if child == 0:
        tracked.tracker.close(COUNTS, "FAILED", lambda left: None)
        os._exit(7)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    (main,) = main_runs(store)
    assert main.info.status == "RUNNING"
    settle(tracked)
    tracked.tracker.close(COUNTS, "FINISHED", lambda left: None)
    (main,) = main_runs(store)
    assert main.info.status == "FINISHED"
    assert len(children(store, main)) == 1


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(room, "PATIENCE", 0.0)


def test_a_store_that_is_gone_is_not_asked_to_end_the_search(impatient, tracked, store, monkeypatch):
    tracker = tracked.tracker
    main = tracker.run_id

    def away(*_):
        raise ConnectionError("nobody is there")

    def ask(*_):
        raise AssertionError("the store is asked")

    with monkeypatch.context() as patch:
        patch.setattr(tracker._store, "write", away)
        patch.setattr(mlflow, "end_run", ask)
        with pytest.warns(TrackingWarning, match="sparkopt replay"):
            tracker.close(COUNTS, "FINISHED", lambda left: None)
    assert mlflow.active_run() is None
    replay(next(iter(Path().glob("sparkopt-mlflow-*.jsonl"))), store.tracking_uri)
    assert store.get_run(main).info.status == "FINISHED"
