"""Whoever takes part, by name. All model what they have seen by a TPE of some kind."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Final

from hyperopt import tpe

from benchmarks.sleeping.hyperopts import run_sparkopt, run_sparktrials
from benchmarks.sleeping.optunas import run_mlflow, run_ray
from benchmarks.sleeping.task import Contender
from sparkopt import parallel_tpe

PARALLEL: Final = "parallel_tpe"
PRUNED: Final = "parallel_tpe-asha"
SPARKTRIALS: Final = ("sparktrials", "sparktrials-queued")

_MLFLOW: Final = "MlflowSparkStudy, Optuna's default"
_RAY: Final = "Ray Tune, OptunaSearch"

CONTENDERS: Final[Mapping[str, Contender]] = {
    each.name: each
    for each in (
        Contender(PARALLEL, "sparkopt, parallel_tpe", partial(run_sparkopt, parallel_tpe, False)),
        Contender(
            PRUNED, "sparkopt, parallel_tpe, ASHA", partial(run_sparkopt, parallel_tpe, True), None, True
        ),
        Contender("tpe", "sparkopt, TPE", partial(run_sparkopt, tpe.suggest, False)),
        Contender("tpe-asha", "sparkopt, TPE, ASHA", partial(run_sparkopt, tpe.suggest, True), None, True),
        Contender(
            "sparktrials", "SparkTrials, max_queue_len 1", partial(run_sparktrials, False), "sparktrials"
        ),
        Contender(
            "sparktrials-queued",
            "SparkTrials, max_queue_len = parallelism",
            partial(run_sparktrials, True),
            "sparktrials-queued",
        ),
        Contender("mlflow-spark", _MLFLOW, partial(run_mlflow, False), "mlflow-spark"),
        Contender(
            "mlflow-spark-asha", f"{_MLFLOW}, halving", partial(run_mlflow, True), "mlflow-spark", True
        ),
        Contender("ray-tune-reused", _RAY, partial(run_ray, False), "ray-tune-reused"),
        Contender("ray-tune-asha", f"{_RAY}, ASHA", partial(run_ray, True), "ray-tune-reused", True),
    )
}

PEERS_HERE: Final = frozenset(each.peer for each in CONTENDERS.values()) - {None}
"""The peers that take part."""
