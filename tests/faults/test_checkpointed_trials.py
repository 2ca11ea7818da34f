"""Trials that save checkpoints lose, with an executor, what they did since their last one, and no more."""

from __future__ import annotations

import pytest

from tests.faults import checkpoint_scenarios as scenarios
from tests.faults.driver_process import driver_process
from tests.support.cluster import Cluster

SECONDS = 600

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS)]


@pytest.fixture(scope="module")
def play(tmp_path_factory):
    """Play the scenario; what it says."""
    with (
        Cluster(daemons=2, cores=2) as cluster,
        driver_process(cluster.elastic_settings(), SECONDS) as driver,
    ):
        daemons = [daemon.pid for daemon in cluster.daemons]

        def play(*arguments):
            directory = tmp_path_factory.mktemp("scenario")
            return driver.submit(scenarios.taken_away, directory, daemons, *arguments).result(SECONDS)

        yield play


@pytest.mark.parametrize(
    ("saves", "again"),
    [
        # The step that was under way, each time.
        (True, [4, 9]),
        # Everything from the first step on, each time.
        (False, [*range(1, 5), *range(1, 10)]),
    ],
    ids=["with checkpoints", "without"],
)
def test_what_is_done_again_when_the_executor_is_taken_away_twice(play, saves, again):
    said = play(saves)
    once = [*range(1, scenarios.STEPS + 1)]
    assert sorted(said["steps"]) == sorted([*once, *again])
    assert said["attempts"] == [1, 2, 3]
    assert (said["losses"], said["failed"]) == ([0, 1, 2], 0)
