"""Runs a script of tests in a process of its own: for a session that the tests' own process cannot have."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from sparkopt.spark.java import ensure_java
from tests.support.leftovers import MARK, descendants_of_workers, processes_of
from tests.support.paths import python_path


def run_script(
    script: Path,
    directory: Path,
    *arguments: str,
    seconds: float = 280,
    environment: dict[str, str] | None = None,
) -> dict[str, object]:
    """What a script has said, as a line of JSON; no process and no file of it is left."""
    ensure_java()
    mark = f"script-{directory}"
    variables = {
        **os.environ,
        MARK: mark,
        "PYTHONPATH": python_path(),
        "PYSPARK_PYTHON": sys.executable,
        "TMPDIR": str(directory),
        "SPARK_LOCAL_IP": "127.0.0.1",
        **(environment or {}),
    }
    command = [sys.executable, str(script), *arguments]
    done = subprocess.run(
        command, cwd=directory, env=variables, capture_output=True, text=True, timeout=seconds
    )
    assert done.returncode == 0, done.stderr
    left = descendants_of_workers(mark), processes_of(mark)
    assert left == ([], [])
    assert list(directory.glob("sparkopt-*")) == []
    said: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
    return said
