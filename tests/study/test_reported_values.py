"""Intermediate values as a study, its listeners and its journal have them."""

from __future__ import annotations

import cloudpickle
import pytest

import sparkopt
from sparkopt.coordinator import AttemptValues, Payload, ReportedValues, Started
from sparkopt.core.states import Outcome
from sparkopt.study.journal import Journal
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from sparkopt.study.listener import Listener
from sparkopt.study.trial_record import Proposal, TrialRecord
from sparkopt.wire import codec
from sparkopt.wire.value_series import MOST_VALUES
from tests.coordinator.rig import Rig, rigs
from tests.study.journals import IDENTITY, result_of, settled
from tests.support import front_ends
from tests.support.front_ends import ListProposer, Watched, run

cloudpickle.register_pickle_by_value(front_ends)


class Hearing(Listener):
    """Notes the values that it hears, and what the record has by then."""

    def __init__(self):
        self.heard = []

    def started(self, record):
        self.heard.append("started")

    def reported(self, record, values):
        self.heard += [*values]
        assert record.reports.newest == values.newest

    def settled(self, record):
        self.heard.append(("settled", record.outcome, record.reports and record.reports.by_step()))


def reporting(argument):
    for step in range(int(argument["x"])):
        sparkopt.report(step / 2, step)
    return 0.0


def test_listeners_hear_them_between_the_start_and_the_end_of_a_trial(tmp_path):
    with rigs(tmp_path, Rig) as make:
        rig = make(limit=1)
        rig.work(0)
        listener = Hearing()
        proposer = Watched(ListProposer([{"x": 3}, {"x": 0}]))
        run(rig, proposer, cloudpickle.loads(cloudpickle.dumps(reporting)), listeners=[listener], trials=2)
    points = {0: 0.0, 1: 0.5, 2: 1.0}
    ends = [each for each in listener.heard if each[0] == "settled"]
    assert ends == [("settled", Outcome.OK, points), ("settled", Outcome.OK, None)]
    first = listener.heard[: listener.heard.index(ends[0])]
    assert first[0] == "started"
    assert [each for each in first if each != "started"] == [*points.items()]


def gathered(attempt, points):
    values = AttemptValues(0, attempt)
    values.series.extend([*points], [*points.values()])
    return values


@pytest.mark.parametrize(
    ("later", "expected"),
    [
        ({1: 5.0}, {1: 5.0}),
        ({3: 5.0, 4: 6.0}, {1: 0.1, 2: 0.2, 3: 5.0, 4: 6.0}),
        ({9: 5.0}, {1: 0.1, 2: 0.2, 3: 0.3, 9: 5.0}),
    ],
    ids=["from the beginning", "from where it was lost", "from beyond that"],
)
def test_a_later_attempt_replaces_an_earlier_one_from_its_first_step_on(tmp_path, later, expected):
    record = TrialRecord(Proposal(0, {}))
    record.take_values(gathered(1, {1: 0.1, 2: 0.2}))
    record.take_values(gathered(1, {3: 0.3}))
    for step, value in later.items():
        record.take_values(gathered(2, {step: value}))
    assert record.reports.by_step() == expected
    journal = opened(tmp_path)
    for attempt, points in ((1, {1: 0.1, 2: 0.2}), (1, {3: 0.3}), (2, later)):
        journal.reported_values(ReportedValues(0, attempt, [*points], [*points.values()]))
    journal.settled(settled(0, Outcome.LOST, None, "gone", None))
    journal.close()
    assert read(tmp_path)[0].values.by_step() == expected


def file(directory):
    return Journal(directory / "journal")


def segments(directory):
    place = directory / "log"
    place.mkdir(exist_ok=True)
    return SegmentJournal(DirectoryStore(place), place, Pace(flush=0.0))


def opened(directory, make=file):
    journal = make(directory)
    journal.check(IDENTITY)
    journal.submitted([(tid, codec.dumps({"tid": tid})) for tid in range(4)], b"state")
    return journal


def read(directory, make=file):
    journal = make(directory)
    try:
        return journal.take_entries()
    finally:
        journal.close()


@pytest.mark.parametrize("make", [file, segments])
def test_the_journal_has_those_of_trials_that_have_settled(tmp_path, make):
    journal = opened(tmp_path, make)
    for tid in range(4):
        journal.started(Started(tid, 1, 1000.0, 0.0))
        if tid:
            steps = range(MOST_VALUES + 1 if tid == 1 else 2)
            journal.reported_values(ReportedValues(tid, 1, steps, [*map(float, steps)]))
    for tid, outcome in enumerate((Outcome.OK, Outcome.OK, Outcome.CANCELLED)):
        result = None if outcome is Outcome.CANCELLED else Payload(result_of(tid))
        journal.settled(settled(tid, outcome, result, "", None))
    journal.close()
    entries = read(tmp_path, make)
    assert [entry.values is not None for entry in entries] == [False, True, False, False]
    assert [entry.reports for entry in entries] == [()] * 4
    assert entries[1].values.newest == (MOST_VALUES, float(MOST_VALUES))
    record = TrialRecord(Proposal(1, {}))
    record.settle_again(entries[1])
    assert record.reports == entries[1].values
