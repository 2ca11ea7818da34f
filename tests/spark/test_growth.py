"""Executors that join a cluster while a search runs, without dynamic allocation: their slots are used."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.spark import growth_scenarios as scenarios
from tests.support.cluster import Cluster
from tests.support.connect_session import HOME, OFF, needs_connect
from tests.support.scripts import run_script

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.mark.parametrize("kind", ["classic", pytest.param("connect", marks=needs_connect)])
def test_an_executor_that_joins_is_used_up_to_what_was_asked_for(tmp_path, kind):
    with Cluster(daemons=1, cores=2, home=HOME) as cluster:
        # The session is there with the first executor; the application may have more.
        settings = {
            **cluster.settings(),
            "spark.cores.max": "4",
            "spark.scheduler.minRegisteredResourcesRatio": "0.5",
            **OFF,
        }
        said = run_script(
            Path(scenarios.__file__),
            tmp_path,
            *(json.dumps(settings), str(HOME)),
            environment={"SPARK_API_MODE": kind},
        )
    assert said["connect"] == (kind == "connect")
    assert said["alone"]
    assert said["gangs"] == [1, 2]
    assert said["parallelism"] == [2, 3, 3, 3]
    assert said["losses"] == list(range(scenarios.TRIALS))
    (warning,) = said["warnings"]
    assert "3 is more than the 2 tasks" in warning
    assert "more, up to 3, if executors join" in warning
    assert {shown.rpartition(": ")[2] for shown in said["bar"]} <= {"0 of 2", "1 of 2"}
