"""The interpreter that workers run in: the driver's on a local master, and else an error that names both."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from sparkopt.spark import interpreters
from tests.spark import interpreter_scenarios
from tests.support.scripts import run_script

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The directory of a Python that has no packages, named python3."""
    place = tmp_path_factory.mktemp("bare")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(place)], check=True)
    return place / "bin"


def said(directory, named, bare):
    """How a search ended, with the bare Python first on the PATH."""
    environment = {"PYSPARK_PYTHON": named, "PATH": os.pathsep.join([str(bare), os.environ["PATH"]])}
    return run_script(Path(interpreter_scenarios.__file__), directory, "local[1]", environment=environment)


def test_workers_on_a_local_master_run_the_drivers_interpreter(tmp_path, bare):
    ran = said(tmp_path, "", bare)
    assert (ran["before"], ran["after"]) == ("python3", "python3")
    assert ran["ran"] == [ran["executable"]] == [sys.executable]
    # Where a session is active in other threads alone, and where the variable says what Spark has not read.
    assert ran["in_a_thread"] == ran["late"] == [sys.executable]
    assert ran["settings_kept"]


def test_one_that_lacks_what_a_worker_needs_is_named_with_what_to_install(tmp_path, bare):
    python = str(bare / "python3")
    failed = said(tmp_path, python, bare)
    assert failed["error"] == "PoolStartError"
    assert f"the executors' Python ({python}, version {platform.python_version()}" in failed["text"]
    assert "cannot run workers: grpcio is missing" in failed["text"]
    assert f"`{python} -m pip install 'grpcio>=" in failed["text"]
    assert "slots" not in failed["text"]


MISMATCH = "Python in worker has different version: 3.9 than that in driver: 3.11, PySpark cannot run"
MISMATCH_BEFORE_4 = "Python in worker has different version 3.9 than that in driver 3.11, PySpark cannot run"


@pytest.mark.parametrize(
    ("text", "what"),
    [
        (MISMATCH, "is version 3.9, and both need the same minor version"),
        (MISMATCH_BEFORE_4, "is version 3.9, and both need the same minor version"),
        ('java.io.IOException: Cannot run program "python3x": error=2', "there is no 'python3x'"),
        ("ModuleNotFoundError: No module named 'pandas.core'", "has no pandas"),
        ("[PACKAGE_NOT_INSTALLED] PyArrow >= 15.0.0 must be installed", "has no PyArrow"),
    ],
)
def test_what_spark_says_of_another_interpreter(spark, text, what):
    assert what in interpreters.explain(spark, text)


def test_other_errors_are_not_the_interpreters(spark):
    assert interpreters.explain(spark, "java.lang.OutOfMemoryError: Java heap space") == ""
