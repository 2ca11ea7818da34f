"""joblib-spark: Optuna within joblib's backend for Spark, as its users write it.

Optuna from 4.0 on uses no joblib: its ``n_jobs`` are threads of the driver, whatever the backend, so that
nothing of a search runs on Spark. It is here because people compare with it.
"""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import HIGH, LOW, Peer, Ran, Search, timed


def _run(search: Search) -> Ran:
    import optuna
    from joblib import parallel_backend
    from joblibspark import register_spark

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    register_spark()

    def objective(trial: Any) -> float:
        return float(search.objective(trial.suggest_float("x", LOW, HIGH)))

    def run() -> tuple[int, float]:
        study = optuna.create_study(sampler=search.sampler or optuna.samplers.RandomSampler(search.seed))
        with parallel_backend("spark", n_jobs=search.parallelism):
            study.optimize(objective, n_trials=search.trials, n_jobs=search.parallelism)
        return len(study.get_trials(deepcopy=False)), study.best_value

    return timed(search, run)


PEER = Peer(
    "joblib-spark",
    "Optuna in joblib-spark (threads of the driver)",
    _run,
    ("joblibspark", "optuna"),
    quick=True,
    on_spark=True,
    optuna=True,
)
