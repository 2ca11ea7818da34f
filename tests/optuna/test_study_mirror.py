"""Optuna studies that show a search of any front end."""

import datetime
import math
import time

import optuna
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.trial import TrialState

from sparkopt.optuna.study_mirror import StudyMirror, distribution_of, study_of
from sparkopt.study.trial_description import Dimension, TrialDescription

AT = 1_700_000_000.0


@pytest.mark.parametrize(
    ("dimension", "expected"),
    [
        (Dimension("x", "float", 0, 1), FloatDistribution(0, 1)),
        (Dimension("x", "float", 1, 9, logarithmic=True), FloatDistribution(1, 9, log=True)),
        (Dimension("x", "float", 1, 9, 2, logarithmic=True), FloatDistribution(1, 9, log=True)),
        (Dimension("x", "float", 0, 1, 0.25), FloatDistribution(0, 1, step=0.25)),
        (Dimension("x", "float", 0, 1, 0.3), FloatDistribution(0, 0.9, step=0.3)),
        (Dimension("x", "int", 0, 9), IntDistribution(0, 9)),
        (Dimension("x", "int", 0, 9, 2), IntDistribution(0, 8, step=2)),
        (Dimension("x", "int", 1, 9, 1, True), IntDistribution(1, 9, log=True)),
        (Dimension("x", "choice", options=("a", None, 1)), CategoricalDistribution(["a", None, 1])),
        (Dimension("x", "choice", options=(True, 1)), CategoricalDistribution(["True", "1"])),
    ],
)
def test_distribution_of_a_dimension(dimension, expected):
    assert distribution_of(dimension) == expected


def test_every_state_is_shown_with_what_is_known_of_it():
    study = study_of(
        [
            TrialDescription(3, "ok", {"x": 1.0}, [2.5], {1: 3.0}, AT, AT + 2, 1.5, 2, "w-1", "host"),
            TrialDescription(4, "pruned", {"x": 0.5}, [7.0], {0: 7.0}, AT, AT + 1),
            TrialDescription(5, "pruned", {"x": 0.5}, None, {2: 9.0, 1: 8.0}, AT, AT + 1),
            TrialDescription(6, "failed", {"x": 0.5}, None, error="ValueError: no"),
            TrialDescription(7, "lost", {"x": 0.5}),
            TrialDescription(8, "cancelled", settled=AT),
            TrialDescription(9, "ok", {"x": 0.5}, [math.nan]),
            TrialDescription(10, "ok", {"x": 0.5}, [math.inf]),
            TrialDescription(11, "running", {"x": 0.5}, None, {0: 1.0}, AT),
            TrialDescription(12, "pending", {"x": 0.5}),
        ],
        [Dimension("x", "float", 0, 1)],
        name="search",
    )
    assert study.study_name == "search"
    trials = study.trials
    assert [(trial.state, trial.value) for trial in trials] == [
        (TrialState.COMPLETE, 2.5),
        (TrialState.PRUNED, 7.0),
        (TrialState.PRUNED, 9.0),
        *[(TrialState.FAIL, None)] * 4,
        (TrialState.COMPLETE, math.inf),
        (TrialState.RUNNING, None),
        (TrialState.WAITING, None),
    ]
    assert {trial.distributions["x"] for trial in trials if trial.params} == {FloatDistribution(0, 1)}
    assert study.best_trial.user_attrs == {
        "tid": 3,
        "state": "ok",
        "attempt": 2,
        "worker": "w-1",
        "host": "host",
        "seconds": 1.5,
    }
    assert study.best_trial.intermediate_values == {1: 3.0}
    assert study.best_trial.datetime_start == datetime.datetime.fromtimestamp(AT)
    assert study.best_trial.duration == datetime.timedelta(seconds=2)
    assert trials[3].user_attrs["error"] == "ValueError: no"
    assert [trial.user_attrs["state"] for trial in trials[4:6]] == ["lost", "cancelled"]
    assert trials[5].duration == datetime.timedelta(0)


def test_a_mirror_follows_a_trial_until_it_has_settled():
    mirror = StudyMirror([Dimension("x", "float", 0, 1)])
    running = {"params": {"x": 0.5}, "started": AT, "worker": "w-1"}
    mirror.take([TrialDescription(0, "pending", {"x": 0.5}), TrialDescription(1, "running", {"x": 2.0})])
    mirror.take([TrialDescription(0, "running", **running, reports={0: 4.0})])
    (first, second) = mirror.study.trials
    assert (first.state, first.intermediate_values) == (TrialState.RUNNING, {0: 4.0})
    assert first.user_attrs == {"tid": 0, "state": "running", "worker": "w-1"}
    assert second.distributions["x"] == FloatDistribution(0, 2)
    mirror.take([TrialDescription(0, "ok", **running, values=[3.0], reports={0: 4.0, 1: 3.0})])
    mirror.take([TrialDescription(0, "running", **running), TrialDescription(2, "ok", {"y": 3}, [4.0])])
    first = mirror.study.trials[0]
    assert (first.state, first.value) == (TrialState.COMPLETE, 3.0)
    assert first.intermediate_values == {0: 4.0, 1: 3.0}
    assert mirror.study.trials[2].params == {"y": 3}
    assert mirror.study.best_trial.number == 0


def test_values_on_steps_have_no_rounding_error():
    values = [round(each / 0.1) * 0.1 for each in (0.0, 0.31, 0.72)]
    assert values[1] != 0.3
    trials = [TrialDescription(tid, "ok", {"x": value}, [1.0]) for tid, value in enumerate(values)]
    study = study_of(trials, [Dimension("x", "float", 0, 0.7000000000000001, 0.1)])
    assert [trial.params["x"] for trial in study.trials] == [0.0, 0.3, 0.7]
    assert {trial.distributions["x"] for trial in study.trials} == {FloatDistribution(0, 0.7, step=0.1)}


def test_studies_may_have_several_goals():
    study = study_of([TrialDescription(0, "ok", {}, [1, 2])], directions=["minimize", "maximize"])
    assert study.best_trials[0].values == [1.0, 2.0]


def test_optuna_says_nothing_of_the_study(capfd):
    optuna.logging.set_verbosity(optuna.logging.INFO)
    study_of([TrialDescription(0, "ok", {"x": 1.0}, [1.0])])
    assert optuna.logging.get_verbosity() == optuna.logging.INFO
    assert capfd.readouterr().err == ""


@pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")
@pytest.mark.filterwarnings(
    "ignore:Attempting to set identical:UserWarning"
)  # Optuna 4 does, where all are alike
def test_optunas_plots_and_importances_show_the_study():
    pytest.importorskip("matplotlib").use("agg")
    from matplotlib import pyplot
    from optuna.visualization import matplotlib as plots

    now = time.time()
    trials = [
        TrialDescription(
            *(tid, "pruned" if tid % 5 == 4 else "ok"),
            {"c": 10.0 ** (tid % 7 - 3), "kind": "ab"[tid % 2], **({"depth": tid} if tid % 2 else {})},
            [tid / 2 % 3.0],
            {0: 1.0, 1: tid / 3},
            *(now + tid, now + tid + 1),
        )
        for tid in range(20)
    ]
    study = study_of(trials, [Dimension("c", "float", 1e-3, 1e3, logarithmic=True)])
    importances = optuna.importance.get_param_importances(
        study, evaluator=optuna.importance.PedAnovaImportanceEvaluator()
    )
    assert {"c", "kind"} <= set(importances)
    axes = plots.plot_slice(study, ["c"])
    assert axes.get_xscale() == "log"
    for plot in (
        plots.plot_optimization_history,
        plots.plot_contour,
        plots.plot_edf,
        plots.plot_intermediate_values,
        plots.plot_parallel_coordinate,
        plots.plot_rank,
        plots.plot_timeline,
    ):
        assert plot(study) is not None
    pyplot.close("all")
