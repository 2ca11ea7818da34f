"""Intermediate values in MLflow: a metric of the trial's run, with its steps."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from sparkopt import SparkTrials, fmin
from sparkopt.tracking.reported_values import ReportedValues
from sparkopt.wire.value_series import ValueSeries
from tests.support.study_tools import CASE, in_order, make_fifos, signal_at
from tests.tracking.runs import children, main_runs


def series(*points):
    made = ValueSeries()
    for step, value in points:
        made.add(step, value)
    return made


def test_each_trials_values_are_in_the_history_of_its_run(spark, store):
    def objective(case):
        import sparkopt

        for step in range(case):
            sparkopt.report(case / (step + 1), 10 * step)
        if case == 2:
            raise ValueError("enough")
        return {"status": "ok", "loss": case, "intermediate_value": 7}

    trials = SparkTrials(2, spark_session=spark, tracking=True)
    fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    (main,) = main_runs(store)
    for tid, run in children(store, main).items():
        history = store.get_metric_history(run.info.run_id, "intermediate_value")
        found = sorted((each.step, each.value) for each in history)
        assert found == [(10 * step, tid / (step + 1)) for step in range(tid)]
        assert all(run.info.start_time <= each.timestamp for each in history)
        assert run.info.status == ("FAILED" if tid == 2 else "FINISHED")
        assert run.data.metrics.get("result.intermediate_value") == (None if tid == 2 else 7)


def test_they_are_there_while_the_trial_runs(spark, store, tmp_path):
    make_fifos(tmp_path, "go")
    place = str(tmp_path / "go")

    def objective(case):
        import sparkopt
        from tests.support.study_tools import wait_at

        sparkopt.report(1.5, 3)
        wait_at(place)
        return case

    with ThreadPoolExecutor(1) as threads:
        trials = SparkTrials(1, spark_session=spark, tracking=True)
        search = threads.submit(fmin, objective, CASE, in_order, 1, trials=trials, verbose=False)
        histories = []
        while not histories and not search.done():
            for main in main_runs(store):
                for run in children(store, main).values():
                    histories += store.get_metric_history(run.info.run_id, "intermediate_value")
        signal_at(tmp_path / "go")
        search.result()
    assert [(each.step, each.value) for each in histories] == [(3, 1.5)]


@pytest.mark.parametrize("end", [False, True])
def test_a_trial_logs_once_a_second_and_at_its_end(end, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("sparkopt.tracking.reported_values.time.monotonic", lambda: clock[0])
    values = ReportedValues()

    def points(metrics):
        return [(step, value) for _, value, _, step in metrics]

    assert points(values.add(1, series((1, 0.5)))) == [(1, 0.5)]
    clock[0] += 0.9
    assert values.add(1, series((2, 0.4), (3, 0.3))) == []
    assert points(values.add(2, series((1, 7.0)))) == [(1, 7.0)]
    clock[0] += 0.2
    if end:
        assert points(values.end(1, 5)) == [(2, 0.4), (3, 0.3)]
        assert values.end(1, 5) == []
    else:
        assert points(values.add(1, series((4, 0.2)))) == [(2, 0.4), (3, 0.3), (4, 0.2)]
