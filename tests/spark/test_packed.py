"""Environments that `sparkopt pack` makes for executors whose own Python has nothing, on real clusters."""

from __future__ import annotations

import json
import re
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.spark import packed_scenarios
from tests.spark.executor_scenarios import NEEDED
from tests.support.cluster import Cluster
from tests.support.connect_session import OFF
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
    done = subprocess.run(
        [python, "-m", "sparkopt", "pack", "-o", place / "mine.tar.gz"],
        env={"PYTHONPATH": python_path()},
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


@pytest.mark.slow
@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["classic", "connect"])
def test_executors_use_it_by_the_settings_that_are_printed(kind, packed, tmp_path, monkeypatch):
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.setenv("SPARK_API_MODE", kind)
    with Cluster(daemons=1, cores=2) as cluster:
        settings = json.dumps({**cluster.settings(), **OFF})
        said = run_script(Path(packed_scenarios.__file__), tmp_path, kind, settings, packed)
    assert said["connect"] is (kind == "connect")
    assert said["failed"] == 0
    assert said["python"].endswith("/environment/bin/python")
    shipped, own = said["packages"]
    assert re.search(r"/sparkopt-[0-9a-f]{16}/sparkopt/__init__\.py$", shipped)
    assert "/environment/lib/" in own
