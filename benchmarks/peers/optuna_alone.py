"""Optuna by itself, in one process, one trial after another, in memory."""

from __future__ import annotations

from typing import Any

from benchmarks.peers.peer import HIGH, LOW, Peer, Ran, Search, timed


def _run(search: Search) -> Ran:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)

    def objective(trial: Any) -> float:
        return float(search.objective(trial.suggest_float("x", LOW, HIGH)))

    def run() -> tuple[int, float]:
        study = optuna.create_study(sampler=optuna.samplers.RandomSampler(search.seed))
        study.optimize(objective, n_trials=search.trials)
        return len(study.get_trials(deepcopy=False)), study.best_value

    return timed(search, run)


PEER = Peer("optuna", "Optuna alone, serial", _run, ("optuna",), quick=True, parallel=False)
