"""What an objective logs of a metric is its reports, whoever keeps its runs."""

from __future__ import annotations

import pytest
from mlflow import MlflowClient

from sparkopt import MedianStopping, SparkTrials, fmin
from sparkopt.core.states import Outcome
from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.tracking.trial.metric_objective import MetricObjective
from sparkopt.tracking.trial.objective import TrackedObjective
from tests.coordinator.rig import Rig, rigs
from tests.support.study_tools import CASE, in_order
from tests.tracking import metric_loggers
from tests.tracking.relay.desk import Desk
from tests.tracking.runs import children, main_runs

POINTS = [
    (0, 4.0),
    (1, 3.0),
    (7, 2.0),
    (8, 1.0),
    (9, 0.5),
    (10, 0.25),
    (12, 0.125),
    (20, 0.0625),
    (21, 0.0625),
]


@pytest.fixture
def rig(tmp_path):
    with rigs(tmp_path, Rig) as make:
        rig = make(limit=1)
        rig.work(0)
        yield rig


@pytest.fixture
def study_of(rig):
    """Opens a study of an objective whose values are gathered."""

    def study_of(objective):
        study = rig.study(objective)
        study.points = []
        study.channel.on_values = lambda values: study.points.extend(values.series)
        return study

    return study_of


@pytest.fixture
def uri(new_store, tmp_path):
    (tmp_path / "store").mkdir()
    return new_store(tmp_path / "store")


@pytest.fixture
def desk(uri, tmp_path):
    desk = Desk(uri, tmp_path / "artifacts")
    yield desk
    desk.leave()
    desk.close()


def tracked(fn):
    return TrackedObjective(MetricObjective(fn, "val_loss", ends_runs=False))


def untracked(fn):
    return MetricObjective(fn, "val_loss", ends_runs=True)


def values_in(client, run_id):
    return [each.value for each in client.get_metric_history(run_id, "val_loss")]


def test_in_a_search_that_is_tracked(rig, study_of, desk):
    study = study_of(tracked(metric_loggers.every_way))
    desk.serve(study.channel)
    study.submit(None)
    run = study.result()
    assert study.points == POINTS
    assert sorted(values_in(desk.client, run)) == sorted([*(value for _, value in POINTS), 7.0])


def test_in_a_search_that_is_not_the_calls_go_on_to_the_objectives_own_store(rig, study_of, uri):
    study = study_of(untracked(metric_loggers.to_a_store_of_its_own))
    study.submit(uri, uri)
    for _ in range(2):
        run = study.result()
        assert study.points == POINTS
        assert sorted(values_in(MlflowClient(uri), run)) == sorted([*(value for _, value in POINTS), 7.0])
        study.points.clear()


@pytest.mark.parametrize(
    ("wrap", "way"),
    [(tracked, "log_metric"), (tracked, "log_metrics"), (tracked, "autologging"), (untracked, "autologging")],
)
def test_once_the_trial_is_to_stop_logging_raises_and_open_runs_are_ended(
    rig, study_of, desk, uri, wrap, way
):
    study = study_of(wrap(metric_loggers.until_pruned))
    desk.serve(study.channel)
    study.submit((rig.post.path, uri if wrap is untracked else "", way))
    visit = rig.post.visit()
    rig.prune(study, 0)
    visit.answer()
    assert study.settled().outcome is Outcome.PRUNED
    assert study.points[0] == (1, 1.0)
    assert desk.client.get_run(visit.word).info.status == "KILLED"


def test_an_objective_without_mlflow_loads_none(rig, study_of):
    study = study_of(untracked(metric_loggers.without_mlflow))
    study.submit(None)
    assert study.result() is False
    assert study.points == []


@pytest.mark.parametrize("is_loss", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_search_that_reports_by_a_metric_prunes_by_it(spark, store, is_loss):
    def objective(case):
        import time

        import mlflow

        for step in range(1, 1000 if case else 3):
            mlflow.log_metric("score", -float(case), step=step)
            time.sleep(0.01)
        return case

    trials = SparkTrials(
        1,
        spark_session=spark,
        tracking=True,
        pruner=MedianStopping(warmup_steps=1, min_trials=1),
        mode="max",
        metric="score",
        metric_is_loss=is_loss,
    )
    fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)
    first, second = (document["result"] for document in trials.trials)
    assert first == {"status": "ok", "loss": 0, "intermediate": {1: -0.0, 2: -0.0}}
    assert second["pruned"]
    assert second.get("loss") == (1.0 if is_loss else None)
    assert {*second["intermediate"].values()} == {-1.0}
    (main,) = main_runs(store)
    for run in children(store, main).values():
        assert "score" in run.data.metrics
        assert "intermediate_value" not in run.data.metrics


def test_arguments_that_make_no_sense(spark):
    with pytest.raises(ArgumentTypeError, match="metric"):
        SparkTrials(1, spark_session=spark, metric=3)
    with pytest.raises(ArgumentValueError, match="metric"):
        SparkTrials(1, spark_session=spark, metric="")
    with pytest.raises(ArgumentValueError, match="metric_is_loss"):
        SparkTrials(1, spark_session=spark, metric_is_loss=True)
