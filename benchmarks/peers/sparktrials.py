"""hyperopt.SparkTrials: a Spark job for each trial.

Twice, because what it costs depends on ``max_queue_len``: with hyperopt's default of 1 its loop proposes one
trial a second, with the parallelism as many as can run at once.
"""

from __future__ import annotations

import dataclasses
import warnings

import hyperopt

from benchmarks.peers.peer import Peer, Ran, Search, timed


def _run(search: Search) -> Ran:
    def run() -> tuple[int, float]:
        trials = hyperopt.SparkTrials(search.parallelism, spark_session=search.session)
        hyperopt.fmin(trials=trials, **search.arguments())
        return len(trials.trials), trials.best_trial["result"]["loss"]

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(search, run)


def _with_one_proposal(search: Search) -> Ran:
    return _run(dataclasses.replace(search, max_queue_len=1))


def _queued(search: Search) -> Ran:
    return _run(dataclasses.replace(search, max_queue_len=search.parallelism))


ONE_PROPOSAL = Peer(
    "sparktrials", "SparkTrials, max_queue_len 1", _with_one_proposal, on_spark=True, hyperopt=True
)
QUEUED = Peer(
    "sparktrials-queued", "SparkTrials, max_queue_len = parallelism", _queued, on_spark=True, hyperopt=True
)
