"""Conformance of listeners: what each of them hears in which order, and what becomes of what it raises."""

from __future__ import annotations

import copy
import shutil

import cloudpickle
import pytest
from mlflow import MlflowClient

from sparkopt.core.states import Outcome
from sparkopt.hyperopt.savefile import SavingListener
from sparkopt.hyperopt.tracked import NAMES
from sparkopt.notebook.search_cell import SearchCell
from sparkopt.study.failures import Failures
from sparkopt.study.first_failure import FirstFailureListener
from sparkopt.study.listener import Listener
from sparkopt.study.progress import ProgressListener
from sparkopt.study.proposer import StopSearch
from sparkopt.study.search_summary import SearchSummary
from sparkopt.tracking.study_description import StudyDescription
from sparkopt.tracking.tracker import Tracker
from tests.coordinator.rig import Rig, rigs
from tests.support import front_ends
from tests.support.front_ends import RandomProposer, Watched, run, uneven

cloudpickle.register_pickle_by_value(front_ends)


class Recording(Listener):
    """Notes what it hears, with copies of the records as they are then."""

    def __init__(self):
        self.notes = []
        self.copies = []

    def opened(self, channel):
        self.notes.append(("opened", None))

    def proposed(self, records):
        self.notes += [("proposed", record.tid) for record in records]
        self.copies += map(copy.copy, records)

    def started(self, record):
        self.notes.append(("started", record.tid))
        self.copies.append(copy.copy(record))

    def settled(self, record):
        self.notes.append(("settled", record.tid))
        self.copies.append(copy.copy(record))

    def tids(self, call):
        return [tid for name, tid in self.notes if name == call]


class Bar:
    """A progress bar."""

    postfix = ""

    def __init__(self):
        self.count = 0

    def update(self, n):
        self.count += n


class File:
    """Stands for the file that trials are saved to."""

    def __init__(self):
        self.saves = 0

    def save_if_due(self):
        self.saves += 1


class Words:
    """A space in words."""

    text = "x: between 0 and 1"
    options = {}  # noqa: RUF012

    def values(self, values):
        return {label: str(value) for label, value in values.items()}


@pytest.fixture
def pool(tmp_path):
    """A coordinator with one worker."""
    with rigs(tmp_path, Rig) as make:
        rig = make(limit=1)
        rig.work(0)
        yield rig


@pytest.fixture(params=["recording", "progress", "first failure", "cell", "saving", "tracking"])
def listener(request, tmp_path, monkeypatch):
    """One of each kind."""
    match request.param:
        case "recording":
            yield Recording()
        case "progress":
            yield ProgressListener(Bar(), Failures(), 1, lambda: None)
        case "first failure":
            yield FirstFailureListener(Failures())
        case "cell":
            yield SearchCell(0, 8, Failures(), 1, lambda: None)
        case "saving":
            yield SavingListener(File())
        case "tracking":
            shutil.copy(request.getfixturevalue("empty_store"), tmp_path / "mlflow.db")
            monkeypatch.chdir(tmp_path)
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
            experiment = MlflowClient().create_experiment("searches", str(tmp_path / "artifacts"))
            monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
            tracker = Tracker(StudyDescription("search", {}, {}, Words(), NAMES))
            yield tracker
            tracker.close(SearchSummary({"total": 0}), "FINISHED", lambda left: None)
            runs = MlflowClient().search_runs([experiment], max_results=100)
            statuses = {each.info.status for each in runs}
            assert statuses <= {"FINISHED", "FAILED", "KILLED"}, "a run was left open"


def argument(inner, proposal):
    if proposal.tid == 1:
        raise ValueError("no such option")
    return cloudpickle.dumps({"tid": proposal.tid, **proposal.values})


def uneven_study(pool, *listeners, **instead):
    """Run a study with a trial of each kind; return its proposer."""

    def settled(inner, record, replayed):
        inner(record, replayed)
        return StopSearch("enough") if record.tid == 3 else None

    proposer = Watched(RandomProposer(1), **{"argument": argument, "settled": settled, **instead})
    try:
        run(pool, proposer, uneven, listeners=listeners, workers=2, trials=8)
    except ZeroDivisionError as error:
        proposer.error = error
    return proposer


def test_what_a_listener_hears(pool, listener):
    before, after = Recording(), Recording()
    proposer = uneven_study(pool, before, listener, after)
    assert before.notes[0] == ("opened", None)
    assert before.notes.count(("opened", None)) == 1
    for recording in (before, after):
        assert recording.tids("proposed") == sorted(proposer.values)
        assert sorted(recording.tids("settled")) == sorted(proposer.values)
        for tid in proposer.values:
            calls = [call for call, of in recording.notes if of == tid]
            assert calls in (["proposed", "started", "settled"], ["proposed", "settled"])
    # It has changed nothing.
    assert before.notes == after.notes
    assert [repr(each) for each in before.copies] == [repr(each) for each in after.copies]
    ends = {record.tid: record for record in before.copies if record.outcome is not None}
    assert [ends[tid].status for tid in range(4)] == ["success", "failure", "failure", "success"]
    assert ends[1].started is None
    assert ends[2].error.kind == "<class 'ValueError'>"
    assert {ends[tid].outcome for tid in ends.keys() - {0, 1, 2, 3}} == {Outcome.CANCELLED}


def test_a_listener_hears_between_the_end_and_the_verdict(pool, listener):
    order = Recording()
    proposer = Watched(RandomProposer(1))
    order.notes = proposer.notes
    run(pool, proposer, listeners=[listener, order], trials=1)
    run(pool, Watched(RandomProposer(2), argument=argument), listeners=[listener], trials=0)
    assert [call for call, tid in proposer.notes if tid == 0] == [
        *("proposed", "started", "started", "finish", "settled", "settled"),
    ]
    assert proposer.records[0].is_final


@pytest.mark.parametrize("call", ["opened", "proposed", "started", "settled"])
def test_what_a_listener_raises(pool, listener, call):
    class Raising(Listener):
        pass

    def raising(self, given):
        raise ZeroDivisionError("mine")

    setattr(Raising, call, raising)
    other = Recording()
    proposer = uneven_study(pool, Raising(), listener, other)
    assert str(proposer.error) == "mine"
    assert proposer.error.study.stop_reason is None
    assert other.notes[0] == ("opened", None)
    assert other.tids("proposed") == sorted(proposer.values)
    assert sorted(other.tids("settled")) == sorted(proposer.values)
    assert all(record.is_final for record in proposer.records.values())
    assert proposer.records.keys() == proposer.values.keys()
