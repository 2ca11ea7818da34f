"""Pruned trials in a study's records and its journal, and words in one that a newer version has written."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import pytest

from sparkopt.coordinator import Reported, ReportedValues, Settled
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, PrunerError
from sparkopt.study.journal import Journal
from sparkopt.study.pruning_rules import ASHA, make_pruner
from sparkopt.study.trial_record import Proposal, TrialRecord
from sparkopt.wire import codec
from tests.study.journals import IDENTITY


@pytest.fixture
def file(tmp_path):
    return tmp_path / "journal"


@pytest.fixture
def written(file):
    """Have a journal of four trials hear of something."""

    def written(*calls):
        journal = Journal(file)
        journal.check(IDENTITY)
        journal.submitted([(tid, codec.dumps({"tid": tid})) for tid in range(4)], b"state")
        for call, happened in calls:
            getattr(journal, call)(happened)
        journal.close()
        journal = Journal(file)
        try:
            return journal.take_entries()
        finally:
            journal.close()

    return written


PRUNED = Settled(0, 1, Outcome.PRUNED, "w", reason="the pruner stopped it", seconds=0.5, time=9.0)


def test_a_pruned_trial_has_neither_a_result_nor_an_error(written):
    live = TrialRecord(Proposal(0, {}))
    live.settle(PRUNED)
    entries = written(("settled", PRUNED))
    assert (entries[0].outcome, entries[0].reason) == (Outcome.PRUNED, "the pruner stopped it")
    again = TrialRecord(Proposal(0, {}))
    again.settle_again(entries[0])
    for record in (live, again):
        assert (record.status, record.outcome) == ("pruned", Outcome.PRUNED)
        assert (record.has_result, record.error, record.loss, record.fault) == (False, None, None, "")


def test_a_pruner_hears_again_of_the_trials_that_had_settled_and_of_no_others(written):
    values = [("reported_values", ReportedValues(tid, 1, [1, 2], [float(tid), 0.0])) for tid in range(3)]
    entries = written(*values, ("settled", dataclasses.replace(PRUNED, tid=1)))
    pruner = make_pruner(ASHA(max_steps=9, reduction_factor=2), "min", entries)
    # Of the three only trial 1 counts: 0 and 2 run again.
    assert pruner.reported(0, 1, 1.0) is False
    assert pruner.reported(2, 1, 1.5) is True


def test_what_a_pruner_raises_at_what_the_journal_has_is_an_error_of_the_pruners(written):
    class Short:
        def reported(self, tid, step, value):
            raise SystemExit(step)

        def settled(self, tid, outcome):
            pass

    entries = written(("reported_values", ReportedValues(0, 1, [7], [0.5])), ("settled", PRUNED))
    with pytest.raises(PrunerError, match="the pruner has raised SystemExit: 7") as caught:
        make_pruner(Short(), "min", entries)
    assert isinstance(caught.value.__cause__, SystemExit)


@pytest.mark.parametrize(
    "calls",
    [
        [("settled", dataclasses.replace(PRUNED, outcome=SimpleNamespace(value="promoted")))],
        [("reported", Reported(0, SimpleNamespace(value="promoted"), "", None)), ("settled", PRUNED)],
    ],
    ids=["an outcome", "a report"],
)
def test_a_word_of_a_newer_version_is_refused_with_the_way_out(written, calls):
    with pytest.raises(JournalError, match=r"journal says 'promoted' of trial 0.*a newer one has written it"):
        written(*calls)
