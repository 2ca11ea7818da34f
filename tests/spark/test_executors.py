"""Executors whose Python has not all that the driver's has: no sparkopt, another one, or too little."""

from __future__ import annotations

import json
import platform
import re
from pathlib import Path

import pytest

import sparkopt
from sparkopt.spark import bootstrap
from tests.house.test_walls import SETTINGS
from tests.spark import executor_scenarios
from tests.support.cluster import Cluster
from tests.support.connect_session import OFF
from tests.support.scripts import run_script

pytestmark = pytest.mark.timeout(300)

OURS = [json.dumps([sparkopt.__version__] * 2)]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("pythons")


@pytest.fixture(scope="module")
def said(place, tmp_path_factory):
    """What each scenario has said; they share a session, on one executor with two slots."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTHONPATH", raising=False)
        with Cluster(daemons=1, cores=2) as cluster:
            settings = json.dumps({**cluster.settings(), **OFF})
            script, directory = Path(executor_scenarios.__file__), tmp_path_factory.mktemp("executors")
            yield run_script(script, directory, settings, str(place))


def test_executors_without_sparkopt_get_the_drivers_and_need_nothing_else(said, place):
    bare = said["bare"]
    assert bare["failed"] == 1  # the one that killed its process
    assert bare["python"] == [json.dumps(str(place / "bare" / "bin" / "python"))]
    assert bare["versions"] == OURS
    assert bare["has"] == ["[]"]
    (file,) = map(json.loads, bare["file"])
    assert re.search(r"/sparkopt-[0-9a-f]{16}\.zip/sparkopt/__init__\.pyc?$", file)


def test_another_sparkopt_there_gives_way_to_the_drivers(said):
    assert said["other"]["versions"] == OURS


def test_drivers_of_several_versions_use_the_same_python_processes(said):
    theirs = [json.dumps(["9.9.9"] * 2)]
    assert said["reused"]["versions"] == [OURS, theirs, OURS]
    clean = {"digests": 2, "loaded": [], "found": False, "path": [], "environment": 0}
    assert said["reused"]["left"] == [clean, clean]


@pytest.mark.parametrize(
    ("name", "lack", "remedy", "install"),
    [
        ("no_grpc", "grpcio is missing", "Install what it lacks", "'grpcio>="),
        ("old", r"cloudpickle 1\.6\.0 is older than 2\.0", "Install what it lacks", r"'cloudpickle>=2\.0'"),
        (
            "broken",
            r"grpcio is there and cannot be loaded \(ImportError: \S+/cygrpc\.so: [^)]+\)",
            "Install that anew",
            "--force-reinstall 'grpcio>=",
        ),
    ],
)
def test_an_executor_that_lacks_what_is_compiled_is_named_with_a_remedy(
    said, place, name, lack, remedy, install
):
    text = said[name]
    python = re.escape(str(place / name / "bin" / "python"))
    version = re.escape(platform.python_version())
    assert re.match(
        rf"the workers did not come up: the executors' Python \({python}, version {version}, on \S+\) cannot"
        rf" run workers: {lack}\. {remedy} \(`{python} -m pip install {install}[^`]*`\), or .*"
        r"`sparkopt pack` makes an archive",
        text,
    ), text
    assert text.count("cannot run workers") == 1


def test_a_worker_needs_the_versions_that_the_package_asks_for():
    wanted = dict(re.split("(?=>)", each, maxsplit=1) for each in SETTINGS["project"]["dependencies"])
    for name, _, least in bootstrap.NEEDS:
        assert wanted[name] == f">={least}"
