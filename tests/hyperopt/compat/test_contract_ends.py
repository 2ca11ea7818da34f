"""When a search ends, what its progress bar hears and where its seeds come from: as under serial hyperopt."""

from __future__ import annotations

import os
from itertools import pairwise

import hyperopt
import numpy as np
import pytest
from hyperopt import rand
from hyperopt.early_stop import no_progress_loss
from hyperopt.exceptions import AllTrialsFailed

import sparkopt
from sparkopt.errors import AllTrialsFailedError, ArgumentValueError
from tests.hyperopt.compat.contract import (
    LATER_ATTRIBUTES,
    Recorder,
    Scenarios,
    X,
    attempt,
    differences,
    plain,
    search,
    ship_by_value,
    square,
    surface,
    ways,
)

ship_by_value(__name__)

SCENARIOS = Scenarios()


@pytest.fixture
def way(spark, tmp_path):
    return ways(spark, tmp_path)


# Budgets.


@SCENARIOS.add(trials=5)
def max_evals_counts_what_is_there(way):
    trials = way.new_trials()
    first = search(way, square, trials=trials, max_evals=3)
    return {"first": first, **search(way, square, trials=trials, max_evals=5, return_argmin=False)}


@SCENARIOS.add(trials=3)
def max_evals_below_what_is_there(way):
    trials = way.new_trials()
    search(way, square, trials=trials, max_evals=3)
    return search(way, square, trials=trials, max_evals=2)


@SCENARIOS.add(trials=8)
def failures_count_in_their_own_search_only(way):
    def objective(x):
        if x < 0:
            raise ValueError(x)
        return x

    trials = way.new_trials()
    first = search(way, objective, trials=trials, max_evals=4, **way.lenient)
    assert 0 < len(trials) < 4
    second = search(way, square, trials=trials, max_evals=6, **way.lenient)
    return {"first": first, **second}


@SCENARIOS.add(trials=0)
def no_trial_and_no_argmin(way):
    return search(way, square, max_evals=0, return_argmin=False)


def test_no_trial_and_an_argmin(way):
    expected = search(way["serial"], square, max_evals=0)
    found = search(way["ours"], square, max_evals=0)
    kind, text = expected.pop("raised")
    assert (kind, text.split(",")[0]) == (Exception, "There are no evaluation tasks")
    own_kind, own_text = found.pop("raised")
    assert own_kind is AllTrialsFailedError
    assert own_text.startswith(text.rstrip("."))
    assert plain(found) == plain(expected)


@SCENARIOS.add(trials=4)
def documents_put_there_by_hand(way):
    other = hyperopt.Trials()
    hyperopt.fmin(square, X, rand.suggest, 2, trials=other, rstate=np.random.default_rng(1), verbose=False)
    trials = way.new_trials()
    trials.insert_trial_docs(other.trials)
    trials.refresh()
    return search(way, square, trials=trials, max_evals=4)


@SCENARIOS.add(trials=3)
def a_document_that_was_never_evaluated(way):
    domain = hyperopt.Domain(square, X)
    trials = way.new_trials()
    trials.insert_trial_docs(rand.suggest(trials.new_trial_ids(1), domain, trials, 5))
    trials.refresh()
    return search(way, square, trials=trials, max_evals=3)


# Ends.


@SCENARIOS.add(trials=3)
def a_loss_that_is_good_enough(way):
    # The first losses of this seed are 18, 9 and 5.
    return search(way, square, loss_threshold=6, max_evals=50)


@SCENARIOS.add(trials=4)
def a_loss_that_was_good_enough_before(way):
    trials = way.new_trials()
    search(way, square, trials=trials, max_evals=3)
    return search(way, square, trials=trials, loss_threshold=6, max_evals=50)


@SCENARIOS.add(trials=5)
def a_loss_threshold_of_an_earlier_call(way):
    trials = way.new_trials()
    first = search(way, square, trials=trials, loss_threshold=1000, max_evals=50)
    assert len(trials) == 1
    return {"first": first["losses"], **search(way, square, trials=trials, max_evals=5)}


@SCENARIOS.add(trials=3)
def no_max_evals(way):
    bar = Recorder()
    outcome = search(way, square, max_evals=None, loss_threshold=6, verbose=True, show_progressbar=bar)
    return {"opened": bar.only("opened"), **outcome}


@SCENARIOS.add(trials=4)
def an_early_stop(way):
    calls = []

    def stop(trials, count=0, label=None):
        calls.append((count, label, surface(trials)))
        return count == 3, [count + 1, "carried"]

    return {**search(way, square, early_stop_fn=stop, max_evals=9), "calls": calls}


@SCENARIOS.add(trials=4)
def an_early_stop_that_never_stops(way):
    calls = []

    def stop(trials, *carried):
        calls.append((len(trials), trials.best_trial["tid"], carried))
        return False, [*carried, len(carried)]

    trials = way.new_trials()
    search(way, square, trials=trials, early_stop_fn=stop, max_evals=2)
    return {**search(way, square, trials=trials, early_stop_fn=stop, max_evals=4), "calls": calls}


@SCENARIOS.add(trials=8)
def hyperopts_own_early_stop(way):
    return search(way, square, early_stop_fn=no_progress_loss(3), max_evals=40)


@SCENARIOS.add(trials=2, raises=LookupError)
def an_early_stop_that_raises(way):
    def stop(trials):
        if len(trials) == 2:
            raise LookupError("no such loss")
        return False, []

    return search(way, square, early_stop_fn=stop, max_evals=9)


def test_an_early_stop_hears_of_failures_from_serial_hyperopt_only(way):
    """A difference that is meant: an early stop that looks at the newest loss finds one."""

    def objective(x):
        if x < 0:
            raise ValueError(x)
        return x

    def heard(each):
        calls = []

        def stop(trials):
            calls.append(trials.losses())
            return False, []

        search(each, objective, max_evals=6, early_stop_fn=stop, **each.lenient)
        return calls

    expected = heard(way["serial"])
    assert expected[:2] == [[], []]
    assert heard(way["ours"]) == [losses for before, losses in pairwise([[], *expected]) if losses != before]


def test_why_a_search_was_cancelled(way):
    trials = {name: way[name].new_trials() for name in ("ours", "theirs")}
    for name, each in trials.items():
        if name == "theirs" and "fmin_cancelled_reason" in LATER_ATTRIBUTES:
            assert not hasattr(each, "fmin_cancelled_reason")
            continue
        assert each.fmin_cancelled_reason is None
        stop = search(way[name], square, trials=each, early_stop_fn=lambda trials: (True, []), max_evals=99)
        assert stop["raised"] is None
        assert each.fmin_cancelled_reason == "early stopping condition"
        each.delete_all()
        assert each.fmin_cancelled_reason is None
    search(way["ours"], square, trials=trials["ours"], max_evals=1)
    assert trials["ours"].fmin_cancelled_reason is None


def test_why_a_search_was_cancelled_at_its_timeout(way):
    """What remains is a trial that waits for a pipe nobody writes to."""
    pipe = way["ours"].directory / "never"
    os.mkfifo(pipe)

    def objective(x):
        return float(pipe.read_text())

    trials = way["ours"].new_trials(timeout=1)
    outcome = search(way["ours"], objective, trials=trials, max_evals=9)
    assert outcome["raised"][0] is AllTrialsFailedError
    assert trials.fmin_cancelled_reason == "fmin run timeout"
    assert outcome["unsynced"][:4] == [0, 0, 0, 0]


# Arguments that are refused.


@pytest.mark.parametrize(
    ("limit", "value"),
    [
        *[("timeout", value) for value in (0, -1, True, "1", [1])],
        *[("loss_threshold", value) for value in (True, "1", [1])],
    ],
)
def test_limits_are_refused_in_the_same_words(way, limit, value):
    def refused(each):
        return attempt(
            lambda: each.fmin(square, X, rand.suggest, 1, trials=each.new_trials(), **{limit: value})
        )

    kind, text = refused(way["serial"])
    assert kind is Exception
    assert refused(way["ours"]) == (ArgumentValueError, text)
    assert attempt(lambda: way["theirs"].new_trials(**{limit: value})) == (kind, text)
    assert attempt(lambda: way["ours"].new_trials(**{limit: value})) == (ArgumentValueError, text)


# Progress.


def with_bar(way, fn, **arguments):
    bar = Recorder()
    return bar, search(way, fn, verbose=True, show_progressbar=bar, **arguments)


@SCENARIOS.add(trials=5)
def progress_of_two_searches(way):
    trials = way.new_trials()
    first, _ = with_bar(way, square, trials=trials, max_evals=3)
    second, outcome = with_bar(way, square, trials=trials, max_evals=5)
    heard = [bar.only(kind) for bar in (first, second) for kind in ("opened", "updated", "postfix", "closed")]
    return {"heard": heard, **outcome}


@SCENARIOS.add(trials=2)
def progress_in_its_order(way):
    bar, outcome = with_bar(way, square, max_evals=2)
    return {"events": bar.events, **outcome}


def test_the_bar_counts_failures_as_hyperopts_does_not(way):
    """A difference that is meant: a trial that failed has ended, and the bar says how many have."""

    def objective(x):
        if x < 0:
            raise ValueError(x)
        return x

    (expected, serial), (found, ours) = (
        with_bar(way[name], objective, max_evals=6, **way[name].lenient) for name in ("serial", "ours")
    )
    failed = ours["unsynced"].pop(3)
    assert failed > 0
    assert found.only("opened") == expected.only("opened")
    assert found.only("updated") == [("updated", 1)] * 6
    assert len(expected.only("updated")) == 6 - failed
    assert found.only("postfix")[-1] == ("postfix", f"{expected.only('postfix')[-1][1]}, {failed} failed")
    assert ours["losses"] == serial["losses"]


@SCENARIOS.add(trials=2)
def progress_of_infinite_losses(way):
    bar, outcome = with_bar(way, lambda x: float("inf"), max_evals=2)
    return {"bests": bar.only("postfix"), **outcome}


@SCENARIOS.add(trials=2, raises=AllTrialsFailed)
def progress_without_a_loss(way):
    bar, outcome = with_bar(way, lambda x: float("nan"), max_evals=2)
    return {"events": bar.events, **outcome}


@SCENARIOS.add(trials=2)
def a_bar_when_nothing_is_to_be_said(way):
    bar = Recorder()
    return {**search(way, square, max_evals=2, verbose=False, show_progressbar=bar), "events": bar.events}


@pytest.mark.parametrize("shown", [True, False])
def test_hyperopts_own_bar_or_none(way, capsys, shown):
    def searched(each):
        outcome = search(each, square, max_evals=2, verbose=True, show_progressbar=shown)
        return outcome, "best loss" in capsys.readouterr().out

    expected, found = searched(way["serial"]), searched(way["ours"])
    assert expected[1] is shown
    assert plain(found) == plain(expected)


# Seeds.


@pytest.mark.parametrize("seed", ["3", "4"])
def test_the_environments_seed(way, monkeypatch, seed):
    monkeypatch.setenv("HYPEROPT_FMIN_SEED", seed)

    def proposed(each):
        trials = each.new_trials()
        each.fmin(square, X, rand.suggest, 3, trials=trials, verbose=False)
        return trials.vals["x"]

    by_hand = search(way["serial"], square, rstate=np.random.default_rng(int(seed)))
    assert proposed(way["serial"]) == proposed(way["ours"]) == by_hand["vals"]["x"]


def test_without_a_seed_searches_differ(way, monkeypatch):
    monkeypatch.setenv("HYPEROPT_FMIN_SEED", "")
    trials = [way["ours"].new_trials() for _ in range(2)]
    for each in trials:
        sparkopt.fmin(square, X, rand.suggest, 1, trials=each, verbose=False)
    assert trials[0].vals != trials[1].vals


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS.keys())
def test_same_as_serial_hyperopt(way, scenario):
    assert differences(scenario, way["serial"], way["ours"]) == {}
