"""hyperopt.Trials: everything in one process, one trial after another."""

from __future__ import annotations

import hyperopt

from benchmarks.peers.peer import Peer, Ran, Search, timed


def _run(search: Search) -> Ran:
    def run() -> tuple[int, float]:
        trials = hyperopt.Trials()
        hyperopt.fmin(trials=trials, **search.arguments())
        return len(trials.trials), trials.best_trial["result"]["loss"]

    return timed(search, run)


PEER = Peer("hyperopt", "hyperopt.Trials, serial", _run, quick=True, parallel=False, hyperopt=True)
