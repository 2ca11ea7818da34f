"""``optimize`` on elastic pools, and with every kind of storage."""

from __future__ import annotations

import contextlib
import socket
import sys
import time

import optuna
import psutil
import pytest
from optuna.storages import JournalStorage, RDBStorage
from optuna.storages.journal import JournalFileBackend

import sparkopt
from tests.faults.driver_process import driver_process
from tests.optuna import elastic_study
from tests.optuna.studies import shipped, states
from tests.support.cluster import Cluster
from tests.support.paths import python_path
from tests.support.processes import started

TRIALS = 40
SECONDS = 300

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(SECONDS),
    pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning"),
]

has_proxy = pytest.mark.skipif(
    not hasattr(optuna.storages, "GrpcStorageProxy"), reason="Optuna has a gRPC proxy from 4.2 on"
)


def test_an_elastic_pool_that_loses_a_worker(spark, workers_of_spark):
    killed = []

    def kill(_, trial):
        if trial.number == 9:
            killed.append(workers_of_spark()[0].pid)
            psutil.Process(killed[0]).kill()

    study = optuna.create_study()
    sparkopt.optuna.optimize(
        *(study, shipped(elastic_study.objective), TRIALS),
        parallelism=2,
        spark_session=spark,
        elastic=True,
        callbacks=[kill],
    )
    assert len(killed) == 1
    assert states(study) == ["COMPLETE"] * TRIALS


def test_executors_come_for_a_study_and_one_is_killed(tmp_path):
    with (
        Cluster(daemons=2, cores=2) as cluster,
        driver_process(cluster.elastic_settings(), SECONDS) as driver,
    ):
        daemons = [daemon.pid for daemon in cluster.daemons]
        said = driver.submit(elastic_study.study_on_executors, daemons).result(SECONDS)
    assert said["before"] == 0
    assert said["executors"] >= 2
    assert said["states"] == ["COMPLETE"] * elastic_study.TRIALS
    assert said["told"] == list(range(elastic_study.TRIALS))


@contextlib.contextmanager
def served(database):
    """Port at which a process of its own serves a storage, as Optuna's documentation says to do it."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = (
        "import sys, warnings; warnings.simplefilter('ignore');"
        "from optuna.storages import get_storage, run_grpc_proxy_server;"
        "run_grpc_proxy_server(get_storage(sys.argv[1]), host='127.0.0.1', port=int(sys.argv[2]))"
    )
    environment = {"PYTHONPATH": python_path()}
    with started([sys.executable, "-c", script, database, str(port)], env=environment) as process:
        yield port, process
        process.kill()


@contextlib.contextmanager
def opened(kind, directory):
    """A storage, and the like of it that another process would open."""
    if kind == "journal":

        def new():
            return JournalStorage(JournalFileBackend(str(directory / "study.log")))

        yield new(), new()
        return
    database = f"sqlite:///{directory / 'study.db'}"
    if kind == "SQLite":
        yield RDBStorage(database, heartbeat_interval=1), RDBStorage(database)
        return
    with served(database) as (port, _):
        yield proxy(port), RDBStorage(database)


def proxy(port):
    """A storage that is served, once it answers."""
    storage = optuna.storages.GrpcStorageProxy(host="127.0.0.1", port=port)
    storage.wait_server_ready(timeout=60)
    return storage


def objective(trial):
    """Reports, attributes of every kind, and pruned trials."""
    import os

    import optuna

    x = trial.suggest_float("x", 0, 1)
    kind = trial.suggest_categorical("kind", ["a", None, 3])
    trial.set_user_attr("seen", {"x": x, "kind": kind, "pid": os.getpid()})
    trial.report(x, 0)
    trial.report(2 * x, 1)
    if trial.should_prune():
        raise optuna.TrialPruned
    return x


@pytest.mark.parametrize("kind", ["SQLite", "journal", pytest.param("gRPC", marks=has_proxy)])
def test_a_storage_has_the_whole_study(pool, tmp_path, kind):
    with opened(kind, tmp_path) as (storage, again):
        pruner = optuna.pruners.ThresholdPruner(upper=1.5, n_warmup_steps=1)
        study = optuna.create_study(storage=storage, study_name="kept", pruner=pruner)
        study.enqueue_trial({"x": 0.9, "kind": None})
        heard = []
        sparkopt.optuna.optimize(
            *(study, shipped(objective), TRIALS),
            pool=pool,
            callbacks=[lambda _, trial: heard.append(trial.number)],
        )
        kept = optuna.load_study(study_name="kept", storage=again)
        assert sorted(heard) == list(range(TRIALS))
        assert states(kept)[0] == "PRUNED"
        for trial in kept.trials:
            x, params = trial.params["x"], trial.params
            assert trial.intermediate_values == {0: x, 1: 2 * x}
            assert {**params, "pid": trial.user_attrs["seen"]["pid"]} == trial.user_attrs["seen"]
            assert trial.state.name == ("PRUNED" if 2 * x > 1.5 else "COMPLETE")
        assert len({trial.user_attrs["seen"]["pid"] for trial in kept.trials}) == 2


@has_proxy
@pytest.mark.parametrize("workers", [1, 2])
def test_a_storage_that_goes_away_ends_the_study_with_its_error(spark, tmp_path, workers):
    with served(f"sqlite:///{tmp_path / 'study.db'}") as (port, process):
        study = optuna.create_study(storage=proxy(port))

        def end(_, trial):
            if trial.number == 3:
                process.kill()
                process.wait()

        began = time.monotonic()
        with pytest.raises(Exception, match=r"UNAVAILABLE|refused|failed to connect"):
            sparkopt.optuna.optimize(
                *(study, shipped(elastic_study.objective), TRIALS),
                parallelism=workers,
                spark_session=spark,
                callbacks=[end],
            )
        assert time.monotonic() < began + SECONDS / 2
