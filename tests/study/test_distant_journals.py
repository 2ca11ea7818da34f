"""Searches with a journal in a store of objects: what goes on, what runs again, and stores that fail."""

from __future__ import annotations

import hyperopt
import pytest

from sparkopt import fmin
from sparkopt.errors import JournalError, JournalWarning, RefusedError
from sparkopt.hyperopt import search as search_module
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study.journal_kinds import FailingStore
from tests.support.study_tools import CASE, in_order


@pytest.fixture
def place(tmp_path):
    return f"file://{tmp_path}/journal"


@pytest.fixture
def search(journalled_search, place):
    """Search with a journal in a directory."""
    return journalled_search(place)


def test_what_had_ended_does_not_run_again(search):
    search(6)
    after = search(8)
    assert after.losses() == [0, 1, 2, 4, 5, 6, 7]
    assert after.trial_attachments(after.trials[5])["square"] == 36
    assert search.runs() == dict.fromkeys(range(8), 1)
    search(8)
    assert search.runs() == dict.fromkeys(range(8), 1)


def test_another_algorithm_is_refused(search):
    search(2)
    with pytest.raises(RefusedError, match=r"(?s)another algorithm.*---.*hyperopt.rand.suggest"):
        search(3, algo=hyperopt.rand.suggest)


@pytest.mark.slow
def test_large_results_and_reports(new_trials, place, tmp_path):
    size = 3_000_000

    def run(evals):
        @hyperopt.fmin_pass_expr_memo_ctrl
        def objective(expr, memo, ctrl):
            tid = ctrl.current_trial["tid"]
            ctrl.attachments["large"] = bytes(size) + b"%d" % tid
            return {"status": "ok", "loss": float(tid), "large": bytes(size)}

        trials = new_trials(parallelism=1, journal=place)
        fmin(objective, CASE, in_order, evals, trials=trials, verbose=False)
        return trials

    before = run(2)
    for _ in range(2):
        after = run(2)
        assert [each["result"] for each in after.trials] == [each["result"] for each in before.trials]
        assert after.attachments == before.attachments
    next((tmp_path / "journal" / "large").glob("*-result-1")).unlink()
    with pytest.warns(JournalWarning, match=r"results of trials \[1\] are gone from .* run again"):
        after = run(2)
    assert [each["result"] for each in after.trials] == [each["result"] for each in before.trials]


@pytest.fixture
def failing(monkeypatch, tmp_path):
    """A store that fails as it is told, for searches with little patience."""
    store = FailingStore(DirectoryStore(tmp_path / "journal"))

    def use(**pace):
        monkeypatch.setattr(
            search_module,
            "open_journal",
            lambda place: SegmentJournal(store, "the place", Pace(flush=0.0, **pace)),
        )
        return store

    return use


def test_a_store_that_is_away_for_a_while_costs_nothing(search, failing):
    store = failing()

    def early_stop(trials):
        if len(trials.trials) == 2:
            store.reachable.clear()
        if len(trials.trials) == 6:
            assert store.failed.wait(60)
            store.reachable.set()
        return False, []

    assert search(9, early_stop_fn=early_stop).losses() == [0, 1, 2, 4, 5, 6, 7]
    assert search(9).losses() == [0, 1, 2, 4, 5, 6, 7]
    assert search.runs() == dict.fromkeys(range(9), 1)


def test_a_search_waits_while_its_journal_is_full(search, failing):
    store = failing(unwritten=1)

    def early_stop(trials):
        if len(trials.trials) == 2:
            store.reachable.clear()
            assert store.failed.wait(60)
            store.reachable.set()
        return False, []

    assert search(5, early_stop_fn=early_stop).losses() == [0, 1, 2, 4]


def test_a_store_that_is_away_for_good_ends_the_search(search, failing):
    store = failing(outage=0.3)

    def early_stop(trials):
        if len(trials.trials) == 2:
            store.reachable.clear()
        return False, []

    with pytest.raises(JournalError, match=r"the journal the place cannot be .* run the same fmin again"):
        search(100_000, early_stop_fn=early_stop)
    assert search.trials.losses()[:2] == [0, 1]
    store.reachable.set()
    again = search(6)
    assert again.losses()[:2] == [0, 1]
