"""One real Spark session for all tests, and a check that no test leaves anything behind."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path

import hyperopt
import psutil
import pyspark
import pytest

from sparkopt.wire.listing import listed
from tests.support import mlflow_parts
from tests.support.leftovers import MARK, descendants_of_workers, is_worker, processes_of

# Searches are tracked by default, which costs seconds; those tests that are about it ask for it.
os.environ["PYSPARK_SUBMIT_ARGS"] = "--conf spark.databricks.mlflow.trackHyperopt.enabled=false pyspark-shell"

# Each of these JVMs lives for seconds: the second compiler costs more than it is worth to them.
os.environ["SPARK_SUBMIT_OPTS"] = os.environ["SPARK_LAUNCHER_OPTS"] = (
    "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC"
)

WARNINGS_OF_SPARK = {
    (3, 5): "ignore:distutils Version classes are deprecated:DeprecationWarning",
    # Up to this version it leaves it to the garbage collector to close the socket of a collect.
    (4, 1): "ignore:unclosed <socket:ResourceWarning",
}
"""Filters by the last version that needs them."""

WARNING_OF_HYPEROPT_0_2_7 = (
    r"ignore:Conversion of an array with ndim > 0 to a scalar:DeprecationWarning:hyperopt\.anneal"
)
"""Since NumPy 1.25, of its own simulated annealing."""

SLOTS = 2
OUR_MARK = str(os.getpid())


def pytest_configure(config):
    """Warnings of older versions of PySpark, MLflow and hyperopt are not ours."""
    spark = tuple(map(int, pyspark.__version__.split(".")[:2]))
    theirs = [line for last, line in WARNINGS_OF_SPARK.items() if spark <= last]
    if hyperopt.__version__.startswith("0.2."):
        theirs.append(WARNING_OF_HYPEROPT_0_2_7)
    for line in (*theirs, *mlflow_parts.WARNINGS):
        config.addinivalue_line("filterwarnings", line)


@pytest.fixture(scope="session")
def workers_directory(tmp_path_factory):
    """The executors' directory for temporary files."""
    return tmp_path_factory.mktemp("workers")


@pytest.fixture(scope="session")
def spark(workers_directory):
    """A session on ``local[2]``: two slots, real Python workers."""
    from pyspark.sql import SparkSession

    from sparkopt.spark.java import ensure_java

    ensure_java()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(MARK, OUR_MARK)
        patch.setenv("TMPDIR", str(workers_directory))
        patch.setenv("PYSPARK_PYTHON", sys.executable)
        patch.setenv("SPARK_LOCAL_IP", "127.0.0.1")
        session = (
            SparkSession.builder.master(f"local[{SLOTS}]")
            .appName("sparkopt-tests")
            .config("spark.ui.enabled", "false")
            # What its tracker says of tasks is true at once, and not some seconds later.
            .config("spark.ui.liveUpdate.period", "0")
            .config("spark.ui.showConsoleProgress", "false")
            .getOrCreate()
        )
    session.sparkContext.setLogLevel("OFF")
    yield session
    session.stop()


@pytest.fixture
def new_trials(spark):
    """Make empty trials on the shared session."""
    from sparkopt import SparkTrials

    def new(parallelism=2, **arguments):
        return SparkTrials(parallelism, spark_session=spark, **arguments)

    return new


@pytest.fixture(scope="session")
def empty_store(tmp_path_factory):
    """A database of MLflow's with nothing in it, to be copied: making one takes seconds."""
    if not mlflow_parts.HAS_DATABASES:
        pytest.skip(mlflow_parts.NO_DATABASES)
    from mlflow import MlflowClient

    path = tmp_path_factory.mktemp("store") / "mlflow.db"
    MlflowClient(tracking_uri=f"sqlite:///{path}").search_experiments()
    return path


@pytest.fixture(autouse=True)
def nothing_left_behind(request):
    """No thread, listening port, process, file or Spark job of ours outlives a test."""
    ports = _listening_ports()
    yield
    threads = [thread.name for thread in threading.enumerate() if thread.name.startswith("sparkopt")]
    assert threads == [], "threads are left"
    assert _listening_ports() - ports == set(), "ports are still listened on"
    assert [pool for pool in listed() if pool.pid == os.getpid()] == [], "a pool is still listed as open"
    if "spark" not in request.fixturenames:
        return
    context = request.getfixturevalue("spark").sparkContext
    # Spark's tracker hears of the end of a job from a queue.
    context._jsc.sc().listenerBus().waitUntilEmpty()
    assert list(context.statusTracker().getActiveJobsIds()) == [], "Spark jobs are left"
    _, alive = psutil.wait_procs(descendants_of_workers(OUR_MARK), timeout=10)
    assert alive == [], "processes are left"
    directory: Path = request.getfixturevalue("workers_directory")
    assert list(directory.glob("sparkopt-*")) == [], "files are left"


def _listening_ports() -> set[int]:
    process = psutil.Process()
    connections = getattr(process, "net_connections", None) or process.connections  # the name before psutil 6
    return {each.laddr.port for each in connections(kind="inet") if each.status == psutil.CONN_LISTEN}


@pytest.fixture
def workers_of_spark(spark):
    """Find pyspark's workers that are running a worker of ours."""

    def find() -> list[psutil.Process]:
        return [each for each in processes_of(OUR_MARK) if _runs_a_worker(each)]

    return find


def _runs_a_worker(process: psutil.Process) -> bool:
    try:
        return is_worker(process) and bool(process.children())
    except psutil.NoSuchProcess:  # evaluators come and go
        return False
