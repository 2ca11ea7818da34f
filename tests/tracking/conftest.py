"""Tracking stores of the tests' own, and a server; and no module that needs MLflow where there is none."""

import shutil

import cloudpickle
import pytest

from sparkopt import SparkTrials
from tests.support import mlflow_parts, study_tools
from tests.tracking import logged

WITHOUT_MLFLOW = ("test_masking.py", "test_relay_protocol.py", "test_run_records.py")
"""Modules with tests of what needs no MLflow."""

cloudpickle.register_pickle_by_value(study_tools)
cloudpickle.register_pickle_by_value(logged)


class Skipped(pytest.Module):
    """A module that cannot be imported without MLflow."""

    def collect(self):
        pytest.skip(mlflow_parts.NO_MLFLOW, allow_module_level=True)


def pytest_pycollect_makemodule(module_path, parent):
    """Skip what needs MLflow where there is none."""
    if mlflow_parts.INSTALLED or module_path.name in WITHOUT_MLFLOW:
        return None
    return Skipped.from_parent(parent, path=module_path)


@pytest.fixture(scope="session")
def new_store(request):
    """Returns a function that makes a new store in a directory, and returns its address.

    It is a database, and without databases a directory of files.
    """

    def new(directory):
        if mlflow_parts.HAS_DATABASES:
            shutil.copy(request.getfixturevalue("empty_store"), directory / "mlflow.db")
            return f"sqlite:///{directory}/mlflow.db"
        return (directory / "mlruns").as_uri()

    with pytest.MonkeyPatch.context() as patch:
        if not mlflow_parts.HAS_DATABASES:
            patch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
        yield new


def make_store(new_store, directory, patch):
    """A client of a new store that is MLflow's current one; artifacts go beside it."""
    from mlflow import MlflowClient

    patch.chdir(directory)
    patch.setenv("MLFLOW_TRACKING_URI", new_store(directory))
    client = MlflowClient()
    experiment = client.create_experiment("searches", str(directory / "artifacts"))
    patch.setenv("MLFLOW_EXPERIMENT_ID", experiment)
    return client


@pytest.fixture
def store(new_store, tmp_path, monkeypatch):
    """A store for one test."""
    return make_store(new_store, tmp_path, monkeypatch)


@pytest.fixture
def target(store):
    """That store as a writer sees it, for the runs of one search; it fails on demand."""
    from tests.tracking.failing_store import FailingStore

    main = store.create_run(store.search_experiments(filter_string="name = 'searches'")[0].experiment_id)
    return FailingStore(f"{store.tracking_uri}", main.info.experiment_id, main.info.run_id)


@pytest.fixture(scope="module")
def shared_store(new_store, tmp_path_factory):
    """A store for all tests of a module; the current one only while the first of them is set up."""
    with pytest.MonkeyPatch.context() as patch:
        yield make_store(new_store, tmp_path_factory.mktemp("shared"), patch)


@pytest.fixture(scope="session")
def server(request, tmp_path_factory):
    """A real server for all tests. One that ends it has to start it again."""
    from tests.tracking.server import Server

    if not mlflow_parts.HAS_SERVER:
        pytest.skip(mlflow_parts.NO_SERVER)
    directory = tmp_path_factory.mktemp("server")
    if not mlflow_parts.SERVER_PYTHON:
        shutil.copy(request.getfixturevalue("empty_store"), directory / "mlflow.db")
    own = Server(directory)
    own.start()
    yield own
    own.kill()


def make_client(server, uri, name, patch):
    """A client of the server itself; the current store is at the address, in an experiment of this name."""
    from mlflow import MlflowClient

    patch.setenv("MLFLOW_TRACKING_URI", uri)
    patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = MlflowClient(server.uri)
    patch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment(name))
    return client


@pytest.fixture
def client(server, tmp_path, monkeypatch):
    """A client of the server, which is MLflow's current store, in an experiment of the test's own."""
    monkeypatch.chdir(tmp_path)
    return make_client(server, server.uri, tmp_path.name, monkeypatch)


@pytest.fixture
def proxy(server):
    """A proxy in front of the server."""
    from tests.support.store_proxy import StoreProxy

    own = StoreProxy(server.port)
    yield own
    own.stop()


@pytest.fixture
def client_behind_proxy(server, proxy, tmp_path, monkeypatch):
    """A client of the server itself; MLflow's current store is behind the proxy."""
    monkeypatch.chdir(tmp_path)
    return make_client(server, proxy.uri, tmp_path.name, monkeypatch)


@pytest.fixture
def tracked_trials(spark, store):
    """Make empty trials whose search is tracked."""

    def new(parallelism=2, **arguments):
        return SparkTrials(parallelism, spark_session=spark, tracking=True, **arguments)

    return new
