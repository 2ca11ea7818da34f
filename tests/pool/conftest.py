"""Slots that somebody else holds."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.support.study_tools import active_jobs


@pytest.fixture
def taken_slots(spark, tmp_path):
    """A job of somebody else's that holds both slots for as long as the test lasts."""
    names = [str(tmp_path / name) for name in ("there-0", "there-1", "go-0", "go-1")]
    for name in names:
        os.mkfifo(name)

    def hold(index):
        os.close(os.open(names[index], os.O_WRONLY))
        os.close(os.open(names[index + 2], os.O_RDONLY))
        return index

    def run():
        spark.sparkContext.setJobDescription("somebody else")
        return spark.sparkContext.parallelize(range(2), 2).map(hold).collect()

    with ThreadPoolExecutor(1) as executor:
        held = executor.submit(run)
        for name in names[:2]:
            os.close(os.open(name, os.O_RDONLY))
        yield active_jobs(spark)
        for name in names[2:]:
            os.close(os.open(name, os.O_WRONLY))
        assert held.result(60) == [0, 1]
