"""A study of Optuna's through the control service: what it shows, and a trial and a study that are ended."""

from __future__ import annotations

import optuna

import sparkopt
from sparkopt import ControlClient, WorkerPool
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
