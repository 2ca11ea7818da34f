"""Optuna's samplers as algorithms of hyperopt."""

from __future__ import annotations

import importlib.util
import math
import pickle
import subprocess
import sys

import hyperopt
import numpy as np
import pytest
from hyperopt import Trials, hp
from hyperopt.pyll import scope

import sparkopt
from sparkopt import TrialPruned, report
from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.hyperopt.optuna_algorithm import from_optuna

optuna = pytest.importorskip("optuna")

SPACE = {
    "lr": hp.loguniform("lr", -5, 0),
    "layers": hp.uniformint("layers", 1, 9),
    "tenths": hp.quniform("tenths", 0, 1, 0.1),
    "count": hp.qloguniform("count", 0, 5, 1),
    "upper": hp.randint("upper", 5),
    "between": hp.randint("between", 3, 7),
    "normal": hp.normal("normal", 1, 2),
    "lognormal": hp.lognormal("lognormal", 0, 1),
    "fives": hp.qnormal("fives", 0, 10, 5),
    "whole": hp.qlognormal("whole", 0, 1, 1),
    "model": hp.choice("model", [{"kind": "svm", "C": hp.uniform("C", 0, 1)}, {"kind": "tree"}]),
    "weighted": hp.pchoice("weighted", [(0.2, "a"), (0.8, "b")]),
}


def loss(point):
    return point["lr"] + point["normal"] ** 2 + point["model"].get("C", 0.3)


def searched(sampler, space=SPACE, objective=loss, evals=15, trials=None, seed=1):
    trials = Trials() if trials is None else trials
    hyperopt.fmin(
        objective,
        space,
        from_optuna(sampler),
        evals,
        trials=trials,
        rstate=np.random.default_rng(seed),
        verbose=False,
    )
    return trials


def values(trials):
    return [document["misc"]["vals"] for document in trials.trials]


SAMPLERS = {
    "tpe": lambda seed: optuna.samplers.TPESampler(seed=seed, n_startup_trials=5),
    "random": lambda seed: optuna.samplers.RandomSampler(seed=seed),
    "nsga": lambda seed: optuna.samplers.NSGAIISampler(seed=seed, population_size=5),
    "cmaes": lambda seed: optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False),
    "gp": lambda seed: optuna.samplers.GPSampler(seed=seed, n_startup_trials=5),
}
NEEDS = {"cmaes": "cmaes", "gp": "torch"}


@pytest.fixture(params=SAMPLERS)
def sampler(request):
    needed = NEEDS.get(request.param)
    if needed and importlib.util.find_spec(needed) is None:
        pytest.skip(f"{needed} is not installed")
    return SAMPLERS[request.param]


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
def test_a_search_is_reproduced_by_the_samplers_seed_or_by_that_of_fmin(sampler):
    seeded = values(searched(sampler(3)))
    assert seeded == values(searched(sampler(3), seed=2))
    assert seeded != values(searched(sampler(4)))
    unseeded = values(searched(sampler(None)))
    assert unseeded == values(searched(sampler(None)))
    assert unseeded != values(searched(sampler(None), seed=2))


def test_every_value_is_one_that_hyperopt_could_have_drawn():
    for vals in values(searched(optuna.samplers.RandomSampler(seed=1), evals=60)):
        drawn = {label: found[0] for label, found in vals.items() if found}
        assert ("C" in drawn) == (drawn["model"] == 0)
        assert math.exp(-5) <= drawn["lr"] <= 1
        assert drawn["layers"] in range(1, 10)
        assert type(drawn["layers"]) is float
        assert drawn["tenths"] == pytest.approx(round(drawn["tenths"] * 10) / 10)
        assert drawn["count"] in range(1, 149)
        assert drawn["upper"] in range(5)
        assert drawn["between"] in range(3, 7)
        assert abs(drawn["normal"] - 1) <= 12
        assert drawn["lognormal"] > 0
        assert drawn["fives"] % 5 == 0
        assert drawn["whole"] == int(drawn["whole"]) >= 0


def test_normal_values_are_normally_distributed():
    space = {"x": hp.normal("x", 1, 2), "y": hp.lognormal("y", 0, 1)}
    drawn = values(searched(optuna.samplers.RandomSampler(seed=1), space, lambda _: 0, 400))
    for label, read, mu, sigma in (("x", float, 1, 2), ("y", math.log, 0, 1)):
        found = [read(vals[label][0]) for vals in drawn]
        assert np.mean(found) == pytest.approx(mu, abs=4 * sigma / 20)
        assert np.std(found) == pytest.approx(sigma, rel=0.2)


def test_a_seeded_sampler_draws_what_it_draws_for_optuna():
    space = {"x": hp.uniform("x", -1, 1), "y": hp.choice("y", [0, hp.loguniform("z", -2, 2)])}

    def objective(point):
        if point["x"] > 0.8:
            return {"status": "fail"}
        return point["x"] ** 2 + point["y"]

    def theirs(trial):
        x = trial.suggest_float("x", -1, 1)
        y = [0, 1][trial.suggest_categorical("y", [0, 1])]
        if y:
            y = trial.suggest_float("z", math.exp(-2), math.exp(2), log=True)
        if x > 0.8:
            raise ValueError
        return x**2 + y

    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))
    study.optimize(theirs, 40, catch=ValueError)
    mine = searched(optuna.samplers.TPESampler(seed=5), space, objective, 40)
    assert [{label: found[0] for label, found in vals.items() if found} for vals in values(mine)] == [
        trial.params for trial in study.trials
    ]
    assert any(trial.state is optuna.trial.TrialState.FAIL for trial in study.trials)


class Seen(optuna.samplers.RandomSampler):
    """Writes down what it sees whenever it is asked."""

    seen = []  # noqa: RUF012

    def before_trial(self, study, trial):
        Seen.seen.append(study.get_trials(deepcopy=False))


@pytest.fixture(autouse=True)
def nothing_seen():
    Seen.seen.clear()


@pytest.mark.parametrize("mode", ["min", "max"])
def test_the_sampler_sees_states_losses_and_reports(new_trials, mode):
    def objective(x):
        report(4.0, step=1)
        if x["case"] == 1:
            raise ValueError("no good")
        if x["case"] == 2:
            raise TrialPruned
        return x["case"]

    points = [{"case": case, "x": 0.5} for case in range(4)]
    trials = new_trials(1, tracking=False, mode=mode)
    space = {"case": hp.randint("case", 9), "x": hp.normal("x", 0, 1)}
    with pytest.warns(sparkopt.errors.FailedTrialsWarning):
        sparkopt.fmin(
            *(objective, space, from_optuna(Seen(seed=1)), 2),
            trials=trials,
            points_to_evaluate=points,
            verbose=False,
        )
    last = Seen.seen[-1]
    assert [trial.state.name for trial in last[:4]] == ["COMPLETE", "FAIL", "PRUNED", "COMPLETE"]
    assert [trial.params["case"] for trial in last[:4]] == [0, 1, 2, 3]
    assert last[0].params["x"] == pytest.approx(0.6914624612740131)
    assert last[0].value == 0
    sign = 1 if mode == "min" else -1
    assert last[2].intermediate_values == {1: sign * 4.0}
    assert last[2].value == sign * 4.0


def test_trials_that_run_are_running_to_the_sampler():
    domain = hyperopt.base.Domain(loss, SPACE)
    trials, algo = Trials(), from_optuna(Seen(seed=1))
    trials.insert_trial_docs(algo([0, 1], domain, trials, 1))
    trials._dynamic_trials[0]["state"] = hyperopt.JOB_STATE_RUNNING
    algo([2], domain, trials, 1)
    assert [trial.state.name for trial in Seen.seen[-1]] == ["RUNNING"] * 3
    del trials._dynamic_trials[1]
    algo([3], domain, trials, 1)
    assert [trial.state.name for trial in Seen.seen[-1]] == ["RUNNING", "FAIL", "RUNNING", "RUNNING"]


def test_a_search_goes_on_from_its_journal_with_other_proposals(new_trials, tmp_path):
    def go_on(evals):
        trials = new_trials(1, journal=tmp_path / "journal", tracking=False)
        algo = from_optuna(Seen(seed=1))
        sparkopt.fmin(loss, SPACE, algo, evals, trials=trials, verbose=False)
        return [vals["lr"][0] for vals in values(trials)]

    first = go_on(4)
    again = go_on(8)
    assert again[:4] == first
    assert len(set(again)) == 8
    assert [trial.state.name for trial in Seen.seen[-1][:4]] == ["COMPLETE"] * 4


def test_a_grid_that_is_used_up_ends_the_search(new_trials):
    trials = new_trials(1, tracking=False)
    grid = optuna.samplers.GridSampler({"x": [0, 1], "y": [0, 1]}, seed=1)
    space = [hp.choice("x", "ab"), hp.choice("y", "cd")]
    sparkopt.fmin(lambda _: 0, space, from_optuna(grid), 100, trials=trials, verbose=False)
    assert sorted((vals["x"][0], vals["y"][0]) for vals in values(trials)) == [(0, 0), (0, 1), (1, 0), (1, 1)]


@pytest.mark.parametrize(
    ("space", "named"),
    [
        (hp.uniform("x", 0, hp.uniform("most", 1, 2)), "'x', whose bounds"),
        (hp.normal("x", hp.uniform("middle", 1, 2), 1), "'x', whose mu"),
        (scope.switch(hp.randint("x", 2) + 0, 1, 2), "a switch that no hp.choice decides"),
    ],
)
def test_a_space_that_cannot_be_said_is_refused_before_anything_starts(new_trials, space, named):
    with pytest.raises(ArgumentValueError, match=named):
        sparkopt.fmin(lambda x: 0, space, from_optuna(Seen()), 1, trials=new_trials(tracking=False))
    assert not Seen.seen


def test_what_is_no_sampler_is_refused():
    with pytest.raises(ArgumentTypeError, match="a sampler of Optuna's"):
        from_optuna("tpe")


def test_an_algorithm_pickles_and_has_a_name_for_journals():
    from sparkopt.study.journal import name_of

    algo = pickle.loads(pickle.dumps(from_optuna(optuna.samplers.RandomSampler(seed=1))))
    assert name_of(algo) == "sparkopt.hyperopt.optuna_algorithm.from_optuna(RandomSampler)"
    assert repr(algo) == "<from_optuna(RandomSampler)>"


def test_optuna_is_loaded_when_it_is_used():
    script = (
        "import sys, sparkopt; sparkopt.hyperopt.from_optuna; assert 'optuna' not in sys.modules;"
        "import hyperopt; assert hyperopt is not sparkopt.hyperopt"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_an_error_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparkopt\[optuna\]'"):
        from_optuna(None)
