"""A search that stops trials early: which, what their documents say, and what takes them for finished."""

from __future__ import annotations

import contextlib
import math
import os
import pickle
import time

import cloudpickle
import pytest
from hyperopt import Trials, hp, rand, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import (
    ASHA,
    MedianStopping,
    SparkTrials,
    TrialPruned,
    fmin,
    report,
    should_prune,
)
from sparkopt.errors import (
    AllTrialsFailedError,
    ArgumentTypeError,
    ArgumentValueError,
    PrunerError,
    SparkoptWarning,
)
from sparkopt.hyperopt.suggest import accelerated
from tests.support.study_tools import CASE, DEADLINE_SECONDS, in_order


def curve(case):
    """Losses of a case: the lower its number, the better, at each of nine steps."""
    return [case + 1 / step for step in range(1, 10)]


def reported(values, verdict_at=None):
    """Report values. At the step where the verdict is expected, wait until it is here."""
    for step, value in enumerate(values, 1):
        report(value)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while step == verdict_at and not should_prune():
            assert time.monotonic() < deadline, "no verdict came"
            os.sched_yield()


def objective(case):
    """The first two finish; of the others the third value is worse than the median of theirs."""
    with contextlib.suppress(*([TrialPruned] if case in (4, 5) else [])):
        reported(curve(case), 3 if case >= 2 else None)
    if case == 4:
        return {"status": "ok", "loss": 100.0}
    if case == 5:
        raise ValueError("no good")
    return {"status": "ok", "loss": case, "intermediate": "all of them"}


RULE = MedianStopping(warmup_steps=3, min_trials=2)


@pytest.fixture(scope="module")
def made(spark):
    """A search of six trials: two finish, two are pruned, and two do not heed their verdict."""
    trials = SparkTrials(1, spark_session=spark, pruner=RULE)
    # pytest knows this module by its file's name, which workers cannot import.
    fmin(shipped(objective), CASE, in_order, 6, trials=trials, verbose=False)
    return trials


def shipped(function):
    """The same function, with all that it needs."""
    return cloudpickle.loads(cloudpickle.dumps(function))


@pytest.fixture
def search(new_trials):
    def search(evals, objective, trials=None, **settings):
        trials = new_trials(parallelism=1, **settings) if trials is None else trials
        with contextlib.suppress(AllTrialsFailedError):
            fmin(objective, CASE, in_order, evals, trials=trials, verbose=False)
        return trials

    return search


def test_what_is_worse_than_the_median_stops_and_says_so_in_its_document(made):
    documents = made._dynamic_trials
    assert [each["state"] for each in documents] == [JOB_STATE_DONE] * 5 + [JOB_STATE_ERROR]
    assert made.statuses() == ["ok", "ok", "fail", "fail", "ok"]
    for case in (2, 3):
        result = dict(made.results[case])
        steps = result.pop("intermediate")
        # The report that raises counts. It is the third one if the verdict was quicker.
        assert steps == dict(enumerate(curve(case)[: len(steps)], 1))
        assert len(steps) in (3, 4)
        assert result == {"status": "fail", "pruned": True, "loss": steps[len(steps)]}
    assert made.results[0] == {"status": "ok", "loss": 0, "intermediate": "all of them"}


def test_a_result_and_an_error_of_its_own_beat_a_verdict(made):
    assert made.losses()[4] == 100
    kind, text = made._dynamic_trials[5]["misc"]["error"]
    assert (kind, "no good" in text) == ("<class 'ValueError'>", True)


def test_counts_leave_pruned_trials_apart(made):
    assert (made.count_successful_trials(), made.count_pruned_trials()) == (3, 2)
    assert (made.count_failed_trials(), made.count_cancelled_trials()) == (1, 0)
    assert made.count_total_trials() == 6


def low_start(case):
    """Case 0 ends badly; 1 and 2 look better at first, and are pruned at once."""
    if case in (1, 2):
        report(-case)
        raise TrialPruned
    return 5.0 - case


def test_nothing_takes_a_pruned_trial_for_a_finished_one_however_low_its_last_value_is(search, new_trials):
    seen = []

    def early_stop(trials, *args):
        seen.append([each["tid"] for each in trials.trials])
        return False, args

    trials = new_trials(parallelism=1, loss_threshold=0.0)
    fmin(low_start, CASE, in_order, 3, trials=trials, early_stop_fn=early_stop, verbose=False)
    assert seen == [[0]]
    assert trials.losses() == [5.0, -1.0, -2.0]
    assert (trials.best_trial["tid"], trials.argmin) == (0, {"case": 0})
    fmin(low_start, CASE, in_order, 4, trials=trials, early_stop_fn=early_stop, verbose=False)
    assert seen == [[0], [0, 3]]
    assert (trials.best_trial["tid"], trials.count_pruned_trials()) == (3, 2)


def test_a_search_whose_trials_were_all_pruned_says_so(search):
    def objective(case):
        report(1.0)
        report(math.nan)
        raise TrialPruned

    trials = search(2, objective)
    assert trials.statuses() == ["fail", "fail"]
    assert trials.losses() == [None, None]  # the last value is no number
    with pytest.raises(AllTrialsFailedError, match="of 2 trials 2 were pruned"):
        trials.best_trial  # noqa: B018 - it raises


@pytest.mark.parametrize("kind", ["a file", "a log"])
def test_a_search_that_goes_on_from_a_journal_prunes_as_it_would_have(search, tmp_path, kind):
    journal = tmp_path / "journal" if kind == "a file" else f"file://{tmp_path}/journal"

    def objective(case):
        reported([-loss for loss in curve(case)], 3 if case >= 2 else None)
        return case

    settings = {"pruner": RULE, "mode": "max", "journal": journal}
    first = search(3, objective, **settings)
    assert first.statuses() == ["ok", "ok", "fail"]
    trials = search(4, objective, **settings)
    assert trials.statuses() == ["ok", "ok", "fail", "fail"]
    assert trials.count_pruned_trials() == 2
    assert trials.results[2] == first.results[2]
    # What it knows of the first two it has from the journal: nothing else has finished.
    steps = trials.results[3]["intermediate"]
    assert len(steps) in (3, 4)
    # Losses are to be minimized, so the last value turns around.
    assert trials.losses() == [0, 1, first.losses()[2], -steps[len(steps)]]


class Own:
    """A pruner of the user's: stops odd trials at their second report."""

    def reported(self, tid, step, value):
        return tid % 2 == 1 and step >= 2

    def settled(self, tid, outcome):
        if outcome.value == "ok" and tid > 3:
            raise RuntimeError("enough of that")


def of_own(case):
    reported(curve(case), 2 if case % 2 else None)
    return case


def test_what_a_pruner_of_the_users_raises_ends_the_search_and_keeps_what_has_finished(search, new_trials):
    trials = new_trials(parallelism=1, pruner=Own())
    with pytest.raises(PrunerError, match="the pruner has raised RuntimeError: enough of that") as caught:
        search(9, of_own, trials=trials)
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert trials.statuses()[:4] == ["ok", "fail", "ok", "fail"]
    assert trials.count_total_trials() == len(trials._dynamic_trials)


def test_a_search_whose_trials_report_nothing_says_so(search, new_trials):
    with pytest.warns(SparkoptWarning, match="none has reported a value: the search has nothing to judge"):
        search(4, lambda case: case, trials=new_trials(parallelism=1, pruner=RULE))


def test_bad_settings_are_refused(spark):
    for wrong, error, said in [
        ({"pruner": ASHA}, ArgumentTypeError, "pruner must be None, MedianStopping"),
        ({"mode": "largest"}, ArgumentValueError, "mode must be 'min' or 'max', got 'largest'"),
        ({"prune_grace": 0}, ArgumentValueError, "prune_grace must be None or a positive number of seconds"),
    ]:
        with pytest.raises(error, match=said):
            SparkTrials(1, spark_session=spark, **wrong)


def test_a_pickle_keeps_a_rule_and_leaves_a_pruner_behind(new_trials):
    rule = ASHA(max_steps=9)
    copy = pickle.loads(pickle.dumps(new_trials(1, pruner=rule, mode="max", prune_grace=None)))
    assert (copy.pruner, copy.mode, copy.prune_grace) == (rule, "max", None)
    assert pickle.loads(pickle.dumps(new_trials(1, pruner=Own()))).pruner is None


@pytest.mark.parametrize("algo", [tpe.suggest, rand.suggest])
def test_algorithms_learn_from_the_losses_of_pruned_trials_as_hyperopts_do(algo):
    from hyperopt import base

    space = {"x": hp.uniform("x", 0, 1)}
    domain = base.Domain(None, space)
    drawn = {}
    for with_losses in (True, False):
        trials = Trials()
        for tid in range(40):
            (document,) = rand.suggest([tid], domain, trials, tid)
            x = document["misc"]["vals"]["x"][0]
            pruned = {"status": "fail", "pruned": True, **({"loss": x} if with_losses else {})}
            document["result"] = pruned if tid % 3 else {"status": "ok", "loss": x}
            document["state"] = JOB_STATE_DONE
            trials.insert_trial_docs([document])
        trials.refresh()
        suggestions = [suggest([99], domain, trials, 7) for suggest in (algo, accelerated(algo, domain))]
        assert suggestions[0][0]["misc"]["vals"] == suggestions[1][0]["misc"]["vals"]
        drawn[with_losses] = suggestions[0][0]["misc"]["vals"]
    assert (drawn[True] != drawn[False]) == (algo is tpe.suggest)
