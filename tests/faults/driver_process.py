"""A driver process of its own for scenarios that need a Spark session of their own, and what they all say."""

from __future__ import annotations

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import Any

from sparkopt.spark.session import get_session
from tests.faults.cluster_scenarios import TRIALS


def start(settings: dict[str, str]) -> None:
    """Have the session that the scenarios use."""
    get_session(settings=settings)


def stop() -> None:
    """End it."""
    get_session().stop()


@contextmanager
def driver_process(settings: dict[str, str], seconds: float) -> Iterator[ProcessPoolExecutor]:
    """The process that the scenarios run in, which has a session.

    Args:
        settings: Spark's.
        seconds: how long the end of the session may take.
    """
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, start, (settings,)) as driver:
        try:
            yield driver
            driver.submit(stop).result(seconds)
        finally:
            for process in driver._processes.values():
                process.kill()


def runs(*again: int) -> dict[int, int]:
    """How often each trial ran if these ran twice."""
    return {tid: 2 if tid in again else 1 for tid in range(TRIALS)}


def assert_all_settled(said: dict[str, Any]) -> None:
    """Every trial of a search has settled once, with its result, and none has failed."""
    assert sorted(said["settled"]) == list(range(TRIALS))
    assert said["results"] == {tid: tid for tid in range(TRIALS)}
    assert said["failed"] == 0
