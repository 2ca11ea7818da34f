"""Nothing is left of a driver that is killed, though an objective has stopped what would clean up."""

from __future__ import annotations

import os
import sys

import psutil
import pytest

from sparkopt.spark.java import ensure_java
from tests.faults import stopping
from tests.faults.launchers import both_launchers
from tests.support.leftovers import processes_of
from tests.support.paths import python_path
from tests.support.processes import started
from tests.support.study_tools import DEADLINE_SECONDS, hear, make_fifos


@pytest.mark.timeout(300)
@both_launchers
@pytest.mark.parametrize(
    "number",
    [
        pytest.param(1, id="nursery", marks=pytest.mark.slow),
        pytest.param(2, id="process A", marks=pytest.mark.slow),
        pytest.param(3, id="Spark's Python worker"),
    ],
)
def test_nothing_is_left_of_a_driver_that_is_killed(tmp_path, number, elastic):
    ensure_java()
    make_fifos(tmp_path, "there")
    mark = f"{os.getpid()}-{number}"
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "MARK_OF_THE_TEST": mark,
        "TMPDIR": str(tmp_path),
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    command = [sys.executable, stopping.__file__, str(number), *(["elastic"] if elastic else [])]
    with started(command, env=environment, cwd=tmp_path) as driver:
        try:
            came = hear(tmp_path / "there", 2 * DEADLINE_SECONDS)
        finally:
            driver.kill()
    assert came
    _, alive = psutil.wait_procs(processes_of(mark), timeout=DEADLINE_SECONDS)
    for process in alive:
        process.kill()
    assert alive == []
