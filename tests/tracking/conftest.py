"""Tracking stores of the tests' own."""

import shutil

import cloudpickle
import pytest

from sparkopt import SparkTrials
from sparkopt.tracking.installed import is_installed
from tests.support import study_tools
from tests.tracking import logged

if not is_installed():
    collect_ignore_glob = ["*"]

cloudpickle.register_pickle_by_value(study_tools)
cloudpickle.register_pickle_by_value(logged)


def make_store(empty_store, directory, patch):
    """A client of a new store that is MLflow's current one; artifacts go beside it."""
    from mlflow import MlflowClient

    patch.chdir(directory)
    shutil.copy(empty_store, directory / "mlflow.db")
    patch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{directory}/mlflow.db")
    client = MlflowClient()
    experiment = client.create_experiment("searches", str(directory / "artifacts"))
    patch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    return client


@pytest.fixture
def store(empty_store, tmp_path, monkeypatch):
    """A store for one test."""
    return make_store(empty_store, tmp_path, monkeypatch)


@pytest.fixture(scope="module")
def shared_store(empty_store, tmp_path_factory):
    """A store for all tests of a module; the current one only while the first of them is set up."""
    with pytest.MonkeyPatch.context() as patch:
        yield make_store(empty_store, tmp_path_factory.mktemp("shared"), patch)


@pytest.fixture
def tracked_trials(spark, store):
    """Make empty trials whose search is tracked."""

    def new(parallelism=2, **arguments):
        return SparkTrials(parallelism, spark_session=spark, tracking=True, **arguments)

    return new
