"""``optimize`` on a session of Spark Connect, in a process of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.optuna import connect_study
from tests.support.connect_session import needs_connect
from tests.support.scripts import run_script


@pytest.mark.slow
@pytest.mark.timeout(300)
@needs_connect
def test_a_session_of_spark_connect(tmp_path):
    assert run_script(Path(connect_study.__file__), tmp_path) == {
        "connect": True,
        "the same": True,
        "several": ["COMPLETE", "PRUNED"],
        "trials": connect_study.TRIALS,
        "raised": "KeyError('no such key')",
    }
