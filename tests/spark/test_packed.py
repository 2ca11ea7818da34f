"""Environments that `sparkopt pack` makes for executors whose own Python has nothing, on real clusters."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

import sparkopt
from tests.spark import packed_scenarios
from tests.spark.executor_scenarios import NEEDED
from tests.support.cluster import Cluster
from tests.support.connect_session import HOME, OFF, needs_connect
from tests.support.executor_python import SPARKS, make_python
from tests.support.paths import python_path
from tests.support.scripts import run_script

COMMANDS = ("click", "rich", "googleapis-common-protos", "grpcio-status", "venv-pack2")
"""What the command itself needs."""


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    """What the command has printed; it has packed an environment without sparkopt."""
    place = tmp_path_factory.mktemp("packed")
    python = make_python(place / "there", *SPARKS, *NEEDED, *COMMANDS)
    # Beside the environment, wherever this process has it from.
    beside = place / "beside"
    beside.mkdir()
    (beside / "sparkopt").symlink_to(Path(sparkopt.__file__).parent)
    done = subprocess.run(
        [python, "-m", "sparkopt", "pack", "-o", place / "mine.tar.gz"],
        env={"PYTHONPATH": str(beside)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_archive_has_the_environment_and_its_python_is_named(packed):
    archive = Path(packed.partition(": Python")[0])
    with tarfile.open(archive) as file:
        names = file.getnames()
    assert "bin/python" in names
    assert any(re.fullmatch(r"lib/python3\.\d+/site-packages/grpc", name) for name in names)
    assert "to which the archive has links" in packed


def submit_command(packed):
    """What is printed for spark-submit, by its words."""
    return shlex.split(packed_scenarios.printed(packed, "The same by spark-submit"))


def test_spark_submit_has_a_python_for_the_driver_which_the_archive_has_not(packed):
    driver, executors, *_ = submit_command(packed)
    name, _, python = driver.partition("=")
    assert name == "PYSPARK_DRIVER_PYTHON"
    assert Path(python).samefile(sys.executable)
    assert executors == "PYSPARK_PYTHON=./environment/bin/python"


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_spark_submit_uses_it_by_the_line_that_is_printed(packed, tmp_path):
    _, *words, dots = submit_command(packed)
    assert dots == "..."
    # What was packed is enough for workers, not for a driver.
    words.insert(0, f"PYSPARK_DRIVER_PYTHON={sys.executable}")
    with Cluster(daemons=1, cores=2) as cluster:
        settings = {**cluster.settings(), **OFF}
        options = [word for key, value in settings.items() for word in ("--conf", f"{key}={value}")]
        script = [packed_scenarios.__file__, "submitted", "{}", packed]
        done = subprocess.run(
            ["/usr/bin/env", *words, *options, *script],
            env={
                **os.environ,
                "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
                "PYTHONPATH": python_path(),
                "SPARK_LOCAL_IP": "127.0.0.1",
            },
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=280,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    assert said["failed"] == 0
    assert said["python"].endswith("/environment/bin/python")


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["classic", pytest.param("connect", marks=needs_connect)])
def test_executors_use_it_by_the_settings_that_are_printed(kind, packed, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    with Cluster(daemons=1, cores=2, home=HOME if kind == "connect" else None) as cluster:
        settings = json.dumps({**cluster.settings(), **OFF})
        said = run_script(Path(packed_scenarios.__file__), tmp_path, kind, settings, packed)
    assert said["connect"] is (kind == "connect")
    assert said["failed"] == 0
    assert said["python"].endswith("/environment/bin/python")
    shipped, own = said["packages"]
    assert re.search(r"/sparkopt-[0-9a-f]{16}\.zip/sparkopt/__init__\.pyc?$", shipped)
    assert "/environment/lib/" in own
