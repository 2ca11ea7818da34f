"""Executors that are killed or stopped, links that fail, on a real cluster: what it costs, and what not."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

import pytest

from tests.faults import cluster_scenarios as scenarios
from tests.support.cluster import Cluster

TRIALS = scenarios.TRIALS
SECONDS = 120


@pytest.fixture(scope="module")
def cluster():
    with Cluster(daemons=2, cores=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def driver(cluster):
    """The process that the scenarios run in."""
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawn, scenarios.start, (cluster.settings(),)) as driver:
        try:
            yield driver
            driver.submit(scenarios.stop).result(SECONDS)
        finally:
            for process in driver._processes.values():
                process.kill()


@pytest.fixture
def play(driver, cluster, tmp_path):
    """Play a scenario and see that every trial has settled once; what the scenario says."""

    def play(scenario):
        daemons = [daemon.pid for daemon in cluster.daemons]
        said = driver.submit(scenario, tmp_path, daemons).result(SECONDS)
        assert sorted(said["settled"]) == list(range(TRIALS))
        assert said["results"] == {tid: tid for tid in range(TRIALS)}
        assert said["failed"] == 0
        return said

    return play


def runs(*again):
    """How often each trial ran if these ran twice."""
    return {tid: 2 if tid in again else 1 for tid in range(TRIALS)}


def test_a_killed_executor_costs_the_attempts_of_its_own_gang(play):
    said = play(scenarios.killed)
    assert said["runs"] == runs(0)
    assert said["word"] == "0"
    assert (said["words"][0], said["words"][1]) == ("again", "not disturbed")
    assert said["replaced"]
    # It waited for the slot that came with the other executor, rather than try in vain.
    assert said["launches"] == 3


def test_a_stopped_executor_changes_nothing_when_it_goes_on(play):
    said = play(scenarios.stopped)
    assert said["runs"] == runs(0)
    assert (said["words"][0], said["words"][1]) == ("in time", "not disturbed")
    assert said["elsewhere"]
    assert said["left"] == []
    # Its worker came again, for both were seen at work, and neither gang was launched a second time.
    assert said["jobs"] == 2


def test_a_cut_that_is_shorter_than_the_grace_costs_nothing(play):
    said = play(scenarios.cut_for_less_than_the_grace)
    assert said["runs"] == runs()
    assert (said["words"][0], said["words"][1]) == ("said into the void", "not disturbed")


def test_a_cut_that_is_longer_costs_one_attempt_and_no_gang(play):
    said = play(scenarios.cut_for_longer_than_the_grace)
    assert said["again"] == said["cut"]
    assert said["runs"] == runs(said["cut"])
    assert (said["words"][said["cut"]], said["words"][1 - said["cut"]]) == ("again", "not disturbed")
    assert said["jobs"] == 2


@pytest.mark.slow
def test_a_link_that_is_half_open_costs_one_attempt(play):
    said = play(scenarios.half_open)
    assert said["again"] == said["cut"]
    assert said["runs"] == runs(said["cut"])
    assert (said["words"][said["cut"]], said["words"][1 - said["cut"]]) == ("again", "not disturbed")


@pytest.mark.slow
def test_connections_that_are_dead_are_replaced_within_the_grace(play):
    said = play(scenarios.dead_connections)
    assert said["runs"] == runs()


@pytest.mark.slow
def test_a_slow_link_costs_nothing(play):
    said = play(scenarios.delayed)
    assert said["runs"] == runs()
