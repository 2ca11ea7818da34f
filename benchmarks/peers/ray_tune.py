"""Ray Tune, with an actor for each trial, and with actors that are used again."""

from __future__ import annotations

import functools
import tempfile
import warnings
from collections.abc import Callable
from typing import Any

from benchmarks.peers.peer import HIGH, LOW, Peer, Ran, Search, timed
from benchmarks.peers.rays import ray_of

_PACKAGES = ("ray", "tensorboardX")


def _run(reuse_actors: bool, search: Search) -> Ran:
    from ray import tune

    def run() -> tuple[int, float]:
        with tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory:
            tuner = tune.Tuner(
                # Ray's own way of handing large things to trials: once, by its object store.
                tune.with_parameters(_evaluate, objective=search.objective),
                param_space={"x": tune.uniform(LOW, HIGH)},
                tune_config=tune.TuneConfig(
                    num_samples=search.trials,
                    max_concurrent_trials=search.parallelism,
                    reuse_actors=reuse_actors,
                ),
                run_config=tune.RunConfig(storage_path=directory, verbose=0),
            )
            results = tuner.fit()
        losses = [result.metrics["loss"] for result in results if result.metrics and not result.error]
        return len(losses), min(losses, default=float("nan"))

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return timed(search, run)


def _evaluate(config: dict[str, Any], objective: Callable[..., Any]) -> None:
    from ray import tune

    tune.report({"loss": float(objective(config["x"]))})


FRESH_ACTORS = Peer("ray-tune", "Ray Tune", functools.partial(_run, False), _PACKAGES, start=ray_of)
REUSED_ACTORS = Peer(
    "ray-tune-reused", "Ray Tune, reuse_actors", functools.partial(_run, True), _PACKAGES, start=ray_of
)
