"""The driver's sparkopt as executors get it: a zip file, with modules compiled that a worker loads."""

from __future__ import annotations

import compileall
import json
import subprocess
import sys
import zipfile
import zlib
from pathlib import Path

import pytest

import sparkopt
from sparkopt.spark import bootstrap
from sparkopt.spark.own_package import own_package

HOME = Path(sparkopt.__file__).parent

FILES_OF_A_WORKER = """
import json, sys
sys.path.insert(0, sys.argv[1])
from sparkopt.worker import task
from sparkopt.worker import agent
from sparkopt.hyperopt import result_convention
from sparkopt.tracking.trial import objective
ours = [name for name in sys.modules if name.split(".")[0] == "sparkopt"]
print(json.dumps([sys.modules[name].__file__ for name in ours]))
"""


@pytest.fixture
def pack(tmp_path, monkeypatch):
    """Pack the package; the place of a file with the archive, and the names in it."""
    monkeypatch.setattr(sys, "pycache_prefix", str(tmp_path / "compiled"))

    def pack():
        place = tmp_path / "packed.zip"
        place.write_bytes(zlib.decompress(own_package.__wrapped__().archive))
        with zipfile.ZipFile(place) as file:
            return place, file.namelist()

    return pack


def compile_what_workers_load():
    for room in (".", "core", "hyperopt", "tracking", "tracking/trial", "wire", "worker"):
        compileall.compile_dir(HOME / room, maxlevels=5 if room in ("wire", "worker") else 0, quiet=1)


def loaded_by_a_worker(place):
    """The files of the modules of ours that a worker has loaded when it has started."""
    # Isolated: without this package on the path.
    command = [sys.executable, "-I", "-c", FILES_OF_A_WORKER, str(place)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_all_modules_that_a_worker_loads_come_compiled(pack):
    compile_what_workers_load()
    place, _ = pack()
    files = loaded_by_a_worker(place)
    assert [file for file in files if not file.startswith(str(place))] == []
    assert [file for file in files if not file.endswith(".pyc")] == []


def test_what_the_driver_has_not_compiled_comes_as_sources_alone(pack):
    place, names = pack()
    assert sorted(names) == sorted(f"sparkopt/{name}" for name, _ in bootstrap.files_of(HOME))
    assert str(place / "sparkopt" / "worker" / "task.py") in loaded_by_a_worker(place)


@pytest.mark.usefixtures("pack")
def test_it_stays_below_the_size_that_spark_warns_of():
    compile_what_workers_load()
    assert len(own_package.__wrapped__().archive) < 900 * 1024
