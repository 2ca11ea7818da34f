"""Tokens are where they are needed, and nowhere where somebody else looks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys

import pytest

from sparkopt.spark.java import ensure_java
from tests.control import secret_search
from tests.support.paths import python_path


@pytest.mark.timeout(300)
def test_no_token_is_to_be_seen_anywhere(tmp_path, empty_store):
    ensure_java()
    left, tokens_file = tmp_path / "left", tmp_path / "token"
    left.mkdir()
    shutil.copy(empty_store, left / "mlflow.db")
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "TMPDIR": str(left),
        "SPARK_LOCAL_IP": "127.0.0.1",
        "GRPC_VERBOSITY": "DEBUG",
        "PYSPARK_SUBMIT_ARGS": "pyspark-shell",
    }
    command = [sys.executable, secret_search.__file__, str(left), str(tokens_file)]
    done = subprocess.run(command, cwd=left, env=environment, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said == {"found": [], "trials": 3}
    tokens = tokens_file.with_suffix(".all").read_text().split()
    assert len(tokens) == 3
    assert tokens_file.read_text().strip() == tokens[0]
    files = [path for path in left.rglob("*") if path.is_file()]
    assert {"journal", "mlflow.db"} <= {path.name for path in files}
    assert any(path.is_relative_to(left / "events") for path in files)
    # Everything is logged, on executors too.
    loggers = ("study", "pool", "coordinator", "control", "tracking", "worker")
    assert [name for name in loggers if f"sparkopt.{name}:" not in done.stderr] == []
    for token in tokens:
        assert token not in done.stdout + done.stderr
        assert [path for path in files if token.encode() in path.read_bytes()] == []
