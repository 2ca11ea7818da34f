"""Elastic workers on a real cluster with dynamic allocation: executors that come, go, and are taken away."""

from __future__ import annotations

import pyspark
import pytest

from tests.faults import cluster_scenarios
from tests.faults import elastic_proofs as proofs
from tests.faults import elastic_scenarios as scenarios
from tests.faults.driver_process import assert_all_settled, driver_process, runs
from tests.support.cluster import Cluster
from tests.support.connect_session import OTHER_HOME

SECONDS = 900

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS)]


@pytest.fixture(scope="module")
def cluster():
    with Cluster(daemons=2, cores=2) as cluster:
        yield cluster


own_server = pytest.mark.skipif(
    OTHER_HOME is not None,
    reason=f"PySpark {pyspark.__version__} starts no server of Spark Connect on a cluster",
)


@pytest.fixture(scope="module", params=["classic", pytest.param("connect", marks=own_server)])
def kind(request):
    """The kind of session that the scenarios run on."""
    return request.param


@pytest.fixture(scope="module")
def driver(cluster, kind):
    """The process that the scenarios run in."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SPARK_API_MODE", kind)
        with driver_process(cluster.elastic_settings(), SECONDS) as driver:
            yield driver


@pytest.fixture
def on_classic(kind):
    """Scenarios in which Spark says what becomes of single tasks."""
    if kind != "classic":
        pytest.skip("Spark Connect tells nothing of single tasks, so no cause of a loss is known there")


@pytest.fixture
def play(driver, cluster, tmp_path):
    """Play a scenario; what it says."""

    def play(scenario, *arguments):
        daemons = [daemon.pid for daemon in cluster.daemons]
        return driver.submit(scenario, tmp_path, daemons, *arguments).result(SECONDS)

    return play


def test_executors_come_for_a_search_and_go_with_it(play, kind):
    said = play(scenarios.from_none_and_back)
    assert (said["before"], said["connect"]) == (0, kind == "connect")
    for number in range(2):
        assert said[f"parallelism {number}"] == 4
        assert_all_settled(said[f"search {number}"])
        assert said[f"search {number}"]["runs"] == runs()


def test_a_killed_executor_costs_its_own_trial_an_attempt_and_nobody_else(play):
    said = play(cluster_scenarios.killed, scenarios.WAITING)
    assert_all_settled(said)
    assert said["runs"] == runs(0)
    assert said["word"] == "0"
    assert said["elsewhere"]
    assert (said["words"][0], said["words"][1]) == ("again", "not disturbed")


@pytest.mark.usefixtures("on_classic")
def test_an_executor_that_is_taken_away_costs_no_attempt(play):
    said = play(scenarios.decommissioned)
    assert_all_settled(said)
    assert said["runs"] == runs(0)
    assert said["elsewhere"]
    assert (said["words"][0], said["words"][1]) == ("again", "not disturbed")


@pytest.mark.usefixtures("on_classic")
def test_a_worker_whose_executor_is_to_go_ends_its_trial_and_gets_no_other(play):
    said = play(scenarios.drained)
    assert_all_settled(said)
    assert said["runs"] == runs()


def test_idle_workers_give_their_executors_back_and_come_again(play):
    said = play(scenarios.idle)
    assert_all_settled(said)
    assert said["runs"] == runs()


@pytest.mark.usefixtures("on_classic")
def test_other_jobs_that_hold_the_slots_do_not_stop_a_search(play):
    said = play(scenarios.crowded)
    assert_all_settled(said)
    assert said["runs"] == runs()
    assert said["others"] == 3


def outlives(said, trials, harmed):
    """A long search has lost nothing, at most an attempt for each executor, and executors are given back."""
    assert said["ok"] == trials
    assert said["settled"] == list(range(trials))
    assert said["harmed"] >= harmed
    assert said["again"] <= said["harmed"]
    assert said["back"] <= 40
    assert said["then"] == 8


@pytest.mark.usefixtures("on_classic")
@pytest.mark.parametrize("proof", [proofs.kills, proofs.decommissions])
def test_a_long_search_outlives_its_executors(play, proof):
    outlives(play(proof), proofs.TRIALS, harmed=12)


def test_a_shorter_search_does_on_either_kind_of_session(play):
    outlives(play(proofs.fewer_kills), proofs.FEWER, harmed=3)


def test_a_host_that_vanishes_costs_its_trial_an_attempt_after_the_grace(play):
    said = play(proofs.vanished)
    assert_all_settled(said)
    assert said["runs"] == runs(0)
    assert (said["words"][0], said["words"][1]) == ("elsewhere", "not disturbed")
