"""An Optuna study on elastic workers of a cluster: executors come for it, and one of them is killed."""

from __future__ import annotations

import optuna

import sparkopt
from sparkopt.spark.session import get_session
from tests.optuna.studies import shipped, states
from tests.support.cluster import executors_of

TRIALS = 60


def objective(trial):
    """Something to suggest, to note and to report."""
    x = trial.suggest_float("x", 0, 1)
    trial.set_user_attr("x", x)
    trial.report(x, 0)
    return x + trial.suggest_int("n", 0, 3)


def study_on_executors(daemons):
    """Run a study from no executor on, with one killed on the way; says what came of it."""
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    told, most = [], [0]
    before = len(executors_of(daemons))

    def hear(_, trial):
        told.append(trial.number)
        executors = executors_of(daemons)
        most[0] = max(most[0], len(executors))
        if trial.number == TRIALS // 3 and executors:
            executors[0].kill()

    study = optuna.create_study()
    sparkopt.optuna.optimize(
        study, shipped(objective), TRIALS, parallelism=4, spark_session=get_session(), callbacks=[hear]
    )
    return {"before": before, "executors": most[0], "states": states(study), "told": sorted(told)}
