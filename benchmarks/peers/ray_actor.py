"""Calls of plain Ray actors: no search at all, the floor of what anything built on Ray can cost."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

from benchmarks.peers.peer import HIGH, LOW, Peer, Ran, Search, timed
from benchmarks.peers.rays import ray_of


class _Evaluator:
    def __init__(self, objective: Callable[..., Any]) -> None:
        self._objective = objective

    def evaluate(self, x: float) -> float:
        return float(self._objective(x))


def _run(search: Search) -> Ran:
    import ray

    def run() -> tuple[int, float]:
        draw = random.Random(search.seed)
        objective = ray.put(search.objective)
        actor = ray.remote(num_cpus=1)(_Evaluator)
        idle = [actor.remote(objective) for _ in range(search.parallelism)]
        actors, called, losses = list(idle), 0, []
        running: dict[Any, Any] = {}
        while called < search.trials or running:
            while idle and called < search.trials:
                evaluator = idle.pop()
                running[evaluator.evaluate.remote(draw.uniform(LOW, HIGH))] = evaluator
                called += 1
            (done,), _ = ray.wait(list(running), num_returns=1)
            losses.append(ray.get(done))
            idle.append(running.pop(done))
        for evaluator in actors:
            ray.kill(evaluator)
        return len(losses), min(losses)

    return timed(search, run)


PEER = Peer("ray-actor", "Ray actor calls, no search", _run, ("ray",), quick=True, start=ray_of)
