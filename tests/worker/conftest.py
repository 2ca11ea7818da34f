"""A supervisor in a process of its own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

from tests.support.paths import python_path
from tests.worker import misdeeds
from tests.worker.evaluations import Answer, Request

HERE = Path(__file__).parent


@pytest.fixture
def evaluate(tmp_path):
    """Evaluates requests one after another; a bare argument stands for a request of an objective.

    That is ``misdeeds.do``, unless the test has put another in its place by ``evaluate.use``. Such requests
    are labelled "trial 1", "trial 2" and so on.
    """
    directory = tmp_path / "payloads"
    directory.mkdir()
    objective = tmp_path / "objective"

    def use(function: Callable[[Any], Any]) -> None:
        objective.write_bytes(cloudpickle.dumps(function))

    def run(*requests: object) -> list[Answer]:
        wanted = [
            each if isinstance(each, Request) else Request(str(objective), each, label=f"trial {number}")
            for number, each in enumerate(requests, 1)
        ]
        done = subprocess.run(
            [sys.executable, HERE / "evaluations.py"],
            input=pickle.dumps((directory, wanted)),
            stdout=subprocess.PIPE,
            # Unbuffered, C's output would come at once whatever we do.
            env={**os.environ, "PYTHONPATH": python_path(), "PYTHONUNBUFFERED": ""},
            timeout=60,
            check=True,
        )
        assert {path.name for path in directory.glob("*")} <= {"argument"}
        answers: list[Answer] = pickle.loads(done.stdout)
        return answers

    use(misdeeds.do)
    run.use = use
    run.objective = str(objective)
    return run
