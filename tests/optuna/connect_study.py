"""Optuna studies on a session of Spark Connect. A script; says how they went."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import warnings

import optuna
import psutil

import sparkopt
from sparkopt.errors import SparkoptWarning
from sparkopt.spark.session import is_connect
from tests.optuna.studies import facts, shipped, states
from tests.support.connect_session import OFF, connect_session
from tests.support.leftovers import MARK, is_worker, processes_of

TRIALS = 30


def objective(trial):
    """Conditions, reports, attributes and pruned trials."""
    import optuna

    x = trial.suggest_float("x", -5, 5)
    if trial.suggest_categorical("kind", ["plain", "deep"]) == "deep":
        x += trial.suggest_int("depth", 1, 3)
    trial.set_user_attr("x", x)
    for step in range(3):
        trial.report(abs(x) / (step + 1), step)
        if trial.should_prune():
            raise optuna.TrialPruned
    return abs(x)


def new():
    """A study with a seed."""
    return optuna.create_study(sampler=optuna.samplers.TPESampler(seed=3, n_startup_trials=5), study_name="a")


def kill_once(study, trial):
    """A callback that kills process A of a worker."""
    if trial.number != 5:
        return
    for each in processes_of(os.environ[MARK]):
        with contextlib.suppress(psutil.NoSuchProcess):  # evaluators come and go
            if is_worker(each) and each.children():
                each.children()[0].kill()
                return


def main():
    """With one worker, with two one of which is killed, and with an objective that fails."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    warnings.simplefilter("ignore", SparkoptWarning)
    warnings.simplefilter("ignore", UserWarning)  # of a step that both attempts have reported
    remote, local, several = new(), new(), new()
    with connect_session("local[2]", OFF) as session:
        sparkopt.optuna.optimize(remote, shipped(objective), TRIALS, parallelism=1)
        local.optimize(objective, TRIALS)
        sparkopt.optuna.optimize(several, shipped(objective), TRIALS, parallelism=2, callbacks=[kill_once])
        failing = optuna.create_study()
        try:
            sparkopt.optuna.optimize(failing, lambda trial: {}["no such key"], 4, spark_session=session)
        except KeyError as error:
            raised = repr(error)
        said = {
            "connect": is_connect(session),
            "the same": facts(remote) == facts(local),
            "several": sorted({*states(several)}),
            "trials": len(several.trials),
            "raised": raised,
        }
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
