"""Searches whose executors have a Python of their own, without sparkopt for instance. A script.

It says what came of them. Its arguments are Spark's settings, as JSON, and a directory for those Pythons.
"""

from __future__ import annotations

import io
import json
import re
import sys
import warnings
import zipfile
import zlib
from pathlib import Path

from google.protobuf.descriptor_pb2 import FileDescriptorProto

from sparkopt import SparkTrials, fmin
from sparkopt.errors import FailedTrialsWarning, PoolStartError
from sparkopt.spark import gang
from sparkopt.spark.own_package import own_package
from sparkopt.spark.session import get_session
from tests.support.executor_python import SPARKS, make_python
from tests.support.study_tools import CASE, in_order

NEEDED = ("grpcio", "protobuf", "cloudpickle")

TRIALS = 6

KILLED = 2
"""The trial that kills its process."""


def metadata(name, version):
    text = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    return {f"{name}-{version}.dist-info/METADATA": text}


OTHER = {
    "sparkopt/__init__.py": "raise RuntimeError('not that of the driver')",
    **metadata("sparkopt", "0.0.1"),
}
BROKEN = {
    "grpc/__init__.py": "from grpc._cython import cygrpc",
    "grpc/_cython/__init__.py": "",
    "grpc/_cython/cygrpc.so": "of another machine",
    **metadata("grpcio", "1.60.0"),
}
OLD = {"cloudpickle/__init__.py": "", **metadata("cloudpickle", "1.6.0")}


def search(session):
    """What trials see of the Python that they run in, and how many have failed."""

    def objective(case):
        import importlib.util
        import os
        import subprocess
        import sys

        import sparkopt

        if case == KILLED:
            os.kill(os.getpid(), 9)
        command = [sys.executable, "-c", "import sparkopt; print(sparkopt.__version__)"]
        started = subprocess.run(command, capture_output=True, text=True, check=True)
        optional = ["uvloop", "psutil", "threadpoolctl", "grpc_status", "google.rpc", "hyperopt"]
        return {
            "status": "ok",
            "loss": case,
            "python": sys.executable,
            "versions": [sparkopt.__version__, started.stdout.strip()],
            "file": sparkopt.__file__,
            "has": [name for name in optional if importlib.util.find_spec(name)],
        }

    trials = SparkTrials(2, spark_session=session)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FailedTrialsWarning)
        fmin(objective, CASE, in_order, TRIALS, trials=trials, verbose=False)
    seen = [each for each in trials.results if each["status"] == "ok"]
    keys = ("python", "versions", "file", "has")
    said = {key: sorted({json.dumps(each[key]) for each in seen}) for key in keys}
    return {**said, "failed": trials.count_failed_trials()}


def refused(session):
    """The error of a search that cannot start."""
    try:
        search(session)
    except PoolStartError as error:
        return str(error)
    raise AssertionError("the workers came up")


def changed():
    """The driver's sparkopt as another version would be: its messages differ, too."""
    own = own_package()
    with io.BytesIO() as stream, zipfile.ZipFile(io.BytesIO(zlib.decompress(own.archive))) as ours:
        with zipfile.ZipFile(stream, "w") as theirs:
            for name in [name for name in ours.namelist() if not name.endswith(".pyc")]:
                text = ours.read(name).decode()
                if name == "sparkopt/__init__.py":
                    text = re.sub('__version__ = ".*"', '__version__ = "9.9.9"', text)
                if name == "sparkopt/wire/v1/worker_pb2.py":
                    text = re.sub(r"AddSerializedFile\((b'.*')\)", with_another_message, text)
                theirs.writestr(name, text)
        return own._replace(archive=zlib.compress(stream.getvalue()), digest="9" * 64)


def with_another_message(found):
    file = FileDescriptorProto.FromString(eval(found[1]))
    file.message_type.add(name="Another")
    return f"AddSerializedFile({file.SerializeToString()!r})"


def left_behind(session):
    """What Spark's Python processes are like after all these workers."""

    def look(rows):
        import importlib.util
        import os

        for _ in rows:
            pass
        yield {
            "digests": len([key for key in sys.modules["_sparkopt_bootstrap"].__dict__ if len(key) == 64]),
            "loaded": [name for name in sys.modules if name.split(".")[0] == "sparkopt"],
            "found": importlib.util.find_spec("sparkopt") is not None,
            "path": [place for place in sys.path if "sparkopt-" in place],
            "environment": os.environ.get("PYTHONPATH", "").count("sparkopt-"),
        }

    return session.sparkContext.parallelize(range(2), 2).barrier().mapPartitions(look).collect()


def reused(session):
    """The versions that trials see when drivers with several use the same processes, one after the other."""
    versions = [search(session)["versions"]]
    ours, gang.own_package = gang.own_package, changed
    versions.append(search(session)["versions"])
    gang.own_package = ours
    versions.append(search(session)["versions"])
    return {"versions": versions, "left": left_behind(session)}


SCENARIOS = {
    "bare": ((*SPARKS, *NEEDED), {}, search),
    "reused": ((*SPARKS, *NEEDED), {}, reused),
    "other": ((*SPARKS, *NEEDED), OTHER, search),
    "no_grpc": ((*SPARKS, "protobuf", "cloudpickle"), {}, refused),
    "old": ((*SPARKS, "grpcio", "protobuf"), OLD, refused),
    "broken": ((*SPARKS, "protobuf", "cloudpickle"), BROKEN, refused),
}


def main(settings, place):
    """Have all of them, each in a Python of its own."""
    session = get_session(settings=settings)
    said = {}
    for name, (distributions, modules, scenario) in SCENARIOS.items():
        python = make_python(place / name, *distributions, modules=modules)
        session.sparkContext.pythonExec = str(python)
        said[name] = scenario(session)
    session.stop()
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
