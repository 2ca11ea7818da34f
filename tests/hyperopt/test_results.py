"""Results of a search: as a data frame, as an Optuna study, and straight from its journal."""

from __future__ import annotations

import pickle

import pandas as pd
import pytest
from hyperopt import Trials, hp, rand

import sparkopt
from sparkopt import SparkTrials, TrialPruned, fmin, report
from sparkopt.errors import JournalError
from tests.support.study_tools import in_order

optuna = pytest.importorskip("optuna")

SPACE = {
    "case": hp.uniformint("case", 0, 9),
    "model": hp.choice(
        "model",
        [
            {"kind": "svm", "C": hp.loguniform("C", -3, 3)},
            {"kind": "tree", "depth": hp.randint("depth", 2, 9)},
        ],
    ),
}
DISTRIBUTIONS = {
    "case": optuna.distributions.IntDistribution(0, 9),
    "model": optuna.distributions.CategoricalDistribution(["svm", "tree"]),
    "depth": optuna.distributions.IntDistribution(2, 8),
}
STATES = ["ok", "failed", "pruned", "ok", "ok", "ok"]


def objective(point):
    case = point["case"]
    report(case + 0.5, step=1)
    report(case + 0.25, step=2)
    if case == 1:
        raise ValueError("no good")
    if case == 2:
        raise TrialPruned
    return {"status": "ok", "loss": -case, "attachments": {}} if case == 3 else case


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    return tmp_path_factory.mktemp("results") / "journal"


@pytest.fixture(scope="module")
def trials(spark, journal):
    """Trials that finished, failed and were pruned."""
    trials = SparkTrials(2, spark_session=spark, journal=journal, tracking=False)
    with pytest.warns(sparkopt.errors.FailedTrialsWarning):
        fmin(objective, SPACE, in_order, len(STATES), trials=trials, verbose=False)
    return trials


def test_the_data_frame_has_a_row_for_each_trial(trials):
    frame = trials.to_pandas()
    assert {*frame.columns} == {
        *("tid", "state", "loss", "params.C", "params.case", "params.model", "params.depth", "last_report"),
        *("seconds", "started", "settled", "attempt", "worker", "host", "error"),
    }
    assert [*frame["tid"]] == [*range(6)]
    assert [*frame["state"]] == STATES
    assert frame["loss"].fillna(99).tolist() == [0, 99, 2.25, -3, 4, 5]
    assert frame["params.case"].tolist() == [*range(6)]
    assert set(frame["params.model"]) <= {"svm", "tree"}
    assert (frame["params.C"].isna() == (frame["params.model"] != "svm")).all()
    assert frame["last_report"].tolist() == [case + 0.25 for case in range(6)]
    assert frame["attempt"].tolist() == [1] * 6
    assert frame["worker"].str.len().gt(0).all()
    assert frame["host"].str.len().gt(0).all()
    assert frame["seconds"].ge(0).all()
    assert (frame["settled"] >= frame["started"]).all()
    assert str(frame["started"].dtype).endswith("UTC]")
    assert "no good" in frame["error"][1]
    assert [*frame["error"].drop(1)] == [""] * 5


def test_the_data_frame_of_no_trials_has_the_columns(new_trials):
    empty = new_trials(tracking=False).to_pandas()
    assert (len(empty), [*empty.columns][:3]) == (0, ["tid", "state", "loss"])


def test_the_study_has_distributions_states_values_and_reports(trials):
    study = trials.to_optuna()
    states = {"ok": "COMPLETE", "failed": "FAIL", "pruned": "PRUNED"}
    assert [trial.state.name for trial in study.trials] == [states[each] for each in STATES]
    assert [trial.value for trial in study.trials] == [0, None, 2.25, -3, 4, 5]
    for trial in study.trials:
        assert trial.intermediate_values == {1: trial.params["case"] + 0.5, 2: trial.params["case"] + 0.25}
        assert ("C" in trial.params) == (trial.params["model"] == "svm")
        for label, distribution in trial.distributions.items():
            assert label == "C" or distribution == DISTRIBUTIONS[label]
    assert all(trial.distributions["C"].log for trial in study.trials if "C" in trial.params)
    assert study.best_params["case"] == 3
    assert study.best_trial.user_attrs["worker"] == trials.to_pandas()["worker"][3]


def test_the_best_parameters_are_nested(trials):
    best = trials.best_params
    assert best["case"] == 3
    assert best["model"]["kind"] in ("svm", "tree")


def test_results_go_through_a_pickle(trials):
    again = pickle.loads(pickle.dumps(trials))
    pd.testing.assert_frame_equal(again.to_pandas(), trials.to_pandas())
    for mine, theirs in zip(again.to_optuna().trials, trials.to_optuna().trials, strict=True):
        assert (mine.params, mine.distributions) == (theirs.params, theirs.distributions)
    assert again.best_params == trials.best_params


def test_the_journal_is_a_study_without_a_session_and_a_space(trials, journal):
    for study in (sparkopt.journal_to_optuna(journal), sparkopt.journal_to_optuna(journal, SPACE)):
        for mine, theirs in zip(study.trials, trials.to_optuna().trials, strict=True):
            assert (mine.state, mine.params, mine.distributions) == (
                *(theirs.state, theirs.params, theirs.distributions),
            )
            assert mine.intermediate_values == theirs.intermediate_values
            assert mine.value == theirs.value


def test_the_journal_of_a_space_that_cannot_be_described_holds_indices(new_trials, tmp_path, monkeypatch):
    def fail(_):
        raise ValueError("no words for it")

    monkeypatch.setattr("sparkopt.hyperopt.search.dimensions_to_text", fail)
    place, space = tmp_path / "journal", hp.choice("model", ["svm", "tree"])
    trials = new_trials(1, journal=place, tracking=False)
    fmin(len, space, rand.suggest, 3, trials=trials, verbose=False)
    (bare, whole) = (sparkopt.journal_to_optuna(place, *known) for known in ((), (space,)))
    assert {trial.params["model"] for trial in bare.trials} <= {0, 1}
    assert {trial.params["model"] for trial in whole.trials} <= {"svm", "tree"}


def test_a_journal_whose_results_need_code_is_read_for_who_trusts_it(new_trials, tmp_path):
    class Odd(float):
        pass

    place = tmp_path / "journal"
    fmin(
        lambda point: {"status": "ok", "loss": 1.0, "mine": Odd(2)},
        hp.uniform("x", 0, 1),
        rand.suggest,
        1,
        trials=new_trials(1, journal=place, tracking=False),
        verbose=False,
    )
    with pytest.raises(JournalError, match="trust=True"):
        sparkopt.journal_to_optuna(place)
    assert sparkopt.journal_to_optuna(place, trust=True).best_value == 1.0


def test_trials_of_hyperopts_own_are_described_with_their_space(spark):
    import hyperopt

    theirs = Trials()
    hyperopt.fmin(lambda x: x, hp.uniform("x", 0, 1), rand.suggest, 3, trials=theirs, verbose=False)
    with pytest.warns(sparkopt.errors.ParallelismWarning):
        mine = SparkTrials.of(theirs)
    study = mine.to_optuna(hp.uniform("x", 0, 1))
    assert {trial.distributions["x"] for trial in study.trials} == {
        optuna.distributions.FloatDistribution(0, 1)
    }
    assert mine.to_pandas()["loss"].tolist() == theirs.losses()
    assert mine.to_pandas()["attempt"].isna().all()
