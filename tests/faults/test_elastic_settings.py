"""Elastic workers on a cluster with dynamic allocation where Spark is set up for more than that."""

from __future__ import annotations

import pytest

from tests.faults import elastic_settings as scenarios
from tests.faults.driver_process import assert_all_settled, driver_process, runs
from tests.support.cluster import Cluster

SECONDS = 400

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS)]

SPECULATION = {
    "spark.speculation": "true",
    "spark.speculation.interval": "100ms",
    "spark.speculation.task.duration.threshold": "1s",
}
"""Without the threshold Spark speculates on no stage of one task."""


@pytest.fixture(scope="module")
def cluster():
    # Spark never starts a task twice on one machine.
    with Cluster(daemons=2, cores=2, gpus=["0"], apart=True) as cluster:
        yield cluster


@pytest.fixture
def play(cluster, tmp_path):
    """Play a scenario with settings of its own; what it says."""

    def play(scenario, **settings):
        daemons = [daemon.pid for daemon in cluster.daemons]
        with driver_process({**cluster.elastic_settings(), **settings}, SECONDS) as driver:
            return driver.submit(scenario, tmp_path, daemons).result(SECONDS)

    return play


def test_workers_of_a_profile_come_with_executors_of_it(play):
    said = play(scenarios.with_a_profile)
    assert_all_settled(said)
    assert said["runs"] == runs()
    assert said["gpus"] == [["0"], ["0"]]  # Each is on a machine of its own.
    assert said["heaps"] == [[f"-Xmx{scenarios.MEMORY}M"]] * 2


def test_a_search_and_other_jobs_share_the_slots_of_a_fair_scheduler(play):
    said = play(scenarios.beside_other_jobs, **{"spark.scheduler.mode": "FAIR"})
    assert said["ok"] == 24
    assert said["meanwhile"] >= 1
    assert said["sums"] == [sum(range(8))]


def test_tasks_that_spark_starts_twice_cost_nothing(play):
    said = play(scenarios.speculated, **SPECULATION)
    assert_all_settled(said)
    assert said["runs"] == runs()
    assert said["twins"] >= 1
    assert (said["words"][0], said["words"][1]) == ("not disturbed", "not disturbed")
