"""A study of Optuna's through the control service: what it shows, and a trial and a study that are ended."""

from __future__ import annotations

import time

import optuna

import sparkopt
from sparkopt import ControlClient, WorkerPool
from sparkopt.dashboard.mirror import Mirror
from sparkopt.dashboard.search_follower import FOLLOWING, SearchFollower
from tests.optuna.studies import states


def test_a_client_sees_parameters_cancels_a_trial_and_stops_the_study(spark):
    def objective(trial):
        import signal

        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("kind", ["a", "b"])
        trial.report(x, 1)
        while trial.number == 2:
            signal.pause()
        return x

    study, seen = optuna.create_study(direction="maximize"), {}
    with WorkerPool(2, spark_session=spark, control=True) as pool:
        address, token = pool.control_address, pool.control_token

        def steer(same, trial):
            with ControlClient(address, token=token) as client:
                if trial.number == 3:
                    seen.update({info.tid: info.values for info in client.trials()})
                    client.cancel_trial(2)
                elif trial.number == 2:
                    client.stop(finish_running=True)

        sparkopt.optuna.optimize(study, objective, pool=pool, callbacks=[steer])
    ended = states(study)
    assert ended[:2] == ["COMPLETE"] * 2
    assert ended[2:4] == ["FAIL", "COMPLETE"]
    assert ended[4:].count("FAIL") <= 2
    for number in (0, 1, 3):
        assert seen[number] == study.trials[number].params


def test_a_client_is_told_directions_values_and_what_was_reported(spark):
    def objective(trial):
        x = trial.suggest_float("x", 0, 1)
        trial.suggest_categorical("kind", ["a", "b"])
        return (x, -x) if trial.number else "no numbers"

    study, mirror = optuna.create_study(directions=["minimize", "maximize"]), Mirror()
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        client = ControlClient(pool.control_address, token=pool.control_token)
        follower = SearchFollower(pool.control_address, client, mirror)
        follower.start()
        follower.wait()
        sparkopt.optuna.optimize(study, objective, n_trials=3, pool=pool, catch=ValueError)
        single = optuna.create_study(direction="maximize")
        sparkopt.optuna.optimize(single, lambda trial: trial.report(2.0, 1) or 0.5, n_trials=1, pool=pool)
        status, listed = client.status(), [*client.trials(intermediate_values=True)]
    deadline = time.monotonic() + 30
    while follower.state == FOLLOWING:
        assert time.monotonic() < deadline, "the dashboard does not hear of the pool's end"
    follower.close()
    mirror.refresh()
    shown, shown_single = (mirror.storage.get_all_trials(number) for number in range(2))
    for seen, trial in zip([*shown, *shown_single], [*study.trials, *single.trials], strict=True):
        assert (seen.state, seen.values, seen.params) == (trial.state, trial.values, trial.params)
    assert [each.directions for each in mirror.storage.get_all_studies()] == [
        study.directions,
        single.directions,
    ]
    assert [(each.directions, each.best_value) for each in status.studies] == [
        (("minimize", "maximize"), None),
        (("maximize",), 0.5),
    ]
    last = listed[-1]
    assert (last.loss, last.objective_values, last.intermediate_values) == (-0.5, (0.5,), {1: 2.0})
