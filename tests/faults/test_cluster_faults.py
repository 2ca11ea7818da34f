"""Executors that are killed or stopped, links that fail, on a real cluster: what it costs, and what not.

Both for barrier jobs and for elastic workers, on a cluster without dynamic allocation.
"""

from __future__ import annotations

import pytest

from tests.faults import cluster_scenarios as scenarios
from tests.faults.driver_process import assert_all_settled, driver_process, runs
from tests.support.cluster import Cluster

SECONDS = 120

LAUNCHERS = {"barrier": {"gang_size": 1}, "elastic": {"elastic": True}}

both = pytest.mark.parametrize("launcher", LAUNCHERS)
barrier_first = pytest.mark.parametrize(
    "launcher", ["barrier", pytest.param("elastic", marks=pytest.mark.slow)]
)
"""The other one is slow: it is much the same, but for the launcher."""


@pytest.fixture(scope="module")
def cluster():
    with Cluster(daemons=2, cores=1) as cluster:
        yield cluster


@pytest.fixture(scope="module")
def driver(cluster):
    """The process that the scenarios run in."""
    with driver_process(cluster.settings(), SECONDS) as driver:
        yield driver


@pytest.fixture
def play(driver, cluster, tmp_path, launcher):
    """Play a scenario and see that every trial has settled once; what the scenario says."""

    def play(scenario):
        daemons = [daemon.pid for daemon in cluster.daemons]
        said = driver.submit(scenario, tmp_path, daemons, LAUNCHERS[launcher]).result(SECONDS)
        assert_all_settled(said)
        return said

    return play


@both
def test_a_killed_executor_costs_its_own_workers_an_attempt_and_nobody_else(play, launcher):
    said = play(scenarios.killed)
    assert said["runs"] == runs(0)
    assert said["word"] == "0"
    assert (said["words"][0], said["words"][1]) == ("again", "not disturbed")
    assert said["elsewhere"]
    if launcher == "barrier":
        # It waited for the slot that came with the other executor, rather than try in vain.
        assert said["launches"] == 3


@barrier_first
def test_a_stopped_executor_changes_nothing_when_it_goes_on(play, launcher):
    said = play(scenarios.stopped)
    assert said["runs"] == runs(0)
    assert (said["words"][0], said["words"][1]) == ("in time", "not disturbed")
    assert said["elsewhere"]
    assert said["left"] == []
    if launcher == "barrier":
        # Its worker came again, for both were seen at work, and neither gang was launched a second time.
        assert said["jobs"] == 2


@both
def test_a_cut_that_is_shorter_than_the_grace_costs_nothing(play):
    said = play(scenarios.cut_for_less_than_the_grace)
    assert said["runs"] == runs()
    assert (said["words"][0], said["words"][1]) == ("said into the void", "not disturbed")


@barrier_first
def test_a_cut_that_is_longer_costs_one_attempt_and_no_job(play, launcher):
    said = play(scenarios.cut_for_longer_than_the_grace)
    assert said["again"] == said["cut"]
    assert said["runs"] == runs(said["cut"])
    assert (said["words"][said["cut"]], said["words"][1 - said["cut"]]) == ("again", "not disturbed")
    if launcher == "barrier":
        assert said["jobs"] == 2


@pytest.mark.slow
@both
def test_a_link_that_is_half_open_costs_one_attempt(play):
    said = play(scenarios.half_open)
    assert said["again"] == said["cut"]
    assert said["runs"] == runs(said["cut"])
    assert (said["words"][said["cut"]], said["words"][1 - said["cut"]]) == ("again", "not disturbed")


@pytest.mark.slow
@both
def test_connections_that_are_dead_are_replaced_within_the_grace(play):
    said = play(scenarios.dead_connections)
    assert said["runs"] == runs()


@pytest.mark.slow
@both
def test_a_slow_link_costs_nothing(play):
    said = play(scenarios.delayed)
    assert said["runs"] == runs()
