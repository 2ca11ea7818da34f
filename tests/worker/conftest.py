"""A supervisor in a process of its own."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import cloudpickle
import misdeeds
import pytest
from evaluations import Answer, Request

HERE = Path(__file__).parent


@pytest.fixture
def evaluate(tmp_path):
    """Evaluates requests one after another; a bare argument stands for a request of ``misdeeds.do``."""
    directory = tmp_path / "payloads"
    directory.mkdir()
    objective = tmp_path / "objective"
    objective.write_bytes(cloudpickle.dumps(misdeeds.do))

    def run(*requests: object) -> list[Answer]:
        wanted = [each if isinstance(each, Request) else Request(str(objective), each) for each in requests]
        done = subprocess.run(
            [sys.executable, HERE / "evaluations.py"],
            input=pickle.dumps((directory, wanted)),
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(HERE)},
            timeout=60,
            check=True,
        )
        assert [path.name for path in directory.glob("result-*")] == []
        answers: list[Answer] = pickle.loads(done.stdout)
        return answers

    run.objective = str(objective)
    return run
