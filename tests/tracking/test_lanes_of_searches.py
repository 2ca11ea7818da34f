"""Whole searches, most of them over http, behind a proxy that counts, delays and refuses calls."""

from __future__ import annotations

import itertools
import threading

import psutil
import pytest
from mlflow import MlflowClient

from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrackingWarning
from sparkopt.tracking import writer
from sparkopt.tracking.record_replay import replay
from tests.support.store_proxy import StoreProxy
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import artifacts, children, content, main_runs


@pytest.fixture
def proxy(server):
    own = StoreProxy(server.port)
    yield own
    own.stop()


@pytest.fixture
def client(server, proxy, tmp_path, monkeypatch):
    """Client of the server itself; MLflow's current store is behind the proxy."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", proxy.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = MlflowClient(server.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment(tmp_path.name))
    return client


def search(spark, objective, trials):
    own = SparkTrials(2, spark_session=spark, tracking=True)
    fmin(objective, CASE, in_order, trials, trials=own, verbose=False)
    return own


def runs_of(client):
    (main,) = main_runs(client)
    return main, children(client, main)


def begun(case):
    """Runs for so long that its worker says so."""
    import threading

    threading.Event().wait(0.2)
    return case


def with_a_burst(case):
    import threading

    import mlflow

    mlflow.set_tag("kind", "burst")
    mlflow.log_params({f"p{number}": number for number in range(5)})
    for step in range(20):
        mlflow.log_metric("m", step, step=step)
    threading.Event().wait(0.2)
    return case


def with_a_file(case):
    import mlflow

    mlflow.log_text("words", "notes/words.txt")
    return case


@pytest.mark.parametrize("objective", [begun, with_a_burst])
def test_a_trial_costs_three_calls(spark, client, proxy, objective):
    search(spark, objective, 4)
    _, found = runs_of(client)
    for tid, run in found.items():
        assert run.data.metrics["loss"] == tid
        assert proxy.calls(run.info.run_id) == ["POST runs/log-batch", "POST runs/update"]
    created = [each for each in proxy.calls("trial ") if each == "POST runs/create"]
    assert len(created) == len(found) == 4


def test_a_file_costs_a_trial_no_call_but_its_own(spark, client, proxy):
    search(spark, with_a_file, 2)
    _, found = runs_of(client)
    for run in found.values():
        calls = proxy.calls(run.info.run_id)
        assert [each for each in calls if "runs/" in each and "artifacts" not in each] == [
            "POST runs/log-batch",
            "POST runs/update",
        ]
        assert artifacts(client, run, "notes") == ["notes/words.txt"]


def test_a_slow_store_is_asked_by_several_at_once(spark, client, proxy):
    proxy.delay = 0.05
    search(spark, lambda case: case, 40)
    assert proxy.most >= 4
    _, found = runs_of(client)
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(40)}


@pytest.mark.parametrize("status", [429, 503])
def test_what_a_store_has_no_time_for_comes_later(spark, client, proxy, status):
    count = itertools.count()

    def busy(asked):
        # Every third call of what concerns trials.
        concerns = any(each in asked.path for each in ("runs/create", "log-batch", "runs/update"))
        return (status, {"retry-after": "1"}) if concerns and next(count) % 3 == 2 else None

    proxy.intercept = busy
    search(spark, lambda case: case, 10)
    main, found = runs_of(client)
    assert main.info.status == "FINISHED"
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(10)}
    assert {run.info.status for run in found.values()} == {"FINISHED"}


def test_mlflow_itself_heeds_the_pause_that_a_store_asks_for(spark, client, proxy, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    refusals = iter([True] * 4)
    proxy.intercept = lambda asked: (
        (429, {"retry-after": "1"}) if "log-batch" in asked.path and next(refusals, False) else None
    )
    search(spark, lambda case: case, 6)
    _, found = runs_of(client)
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(6)}


def with_large_files(case):
    from pathlib import Path
    from tempfile import TemporaryDirectory

    import mlflow

    with TemporaryDirectory() as directory:
        large = Path(directory, "large.bin")
        with large.open("wb") as file:
            for _ in range(LARGE >> 20):
                file.write(b"x" * (1 << 20))
        mlflow.log_artifact(large)
    return case


LARGE = 100 << 20


@pytest.mark.slow
def test_large_files_are_never_whole_in_the_drivers_memory(spark, store):
    process, most, over = psutil.Process(), [], threading.Event()

    def watch():
        while not over.wait(0.02):
            most.append(process.memory_info().rss)

    search(spark, with_a_file, 1)
    before = process.memory_info().rss
    watching = threading.Thread(target=watch)
    watching.start()
    search(spark, with_large_files, 4)
    over.set()
    watching.join()
    main = main_runs(store)[-1]
    for run in children(store, main).values():
        (file,) = store.list_artifacts(run.info.run_id)
        assert file.file_size == LARGE
    assert max(most) - before < LARGE


def test_files_of_a_store_that_goes_away_are_kept(spark, client, proxy, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE", 0.0)
    proxy.intercept = lambda asked: (503, {}) if "artifacts" in asked.path else None
    with pytest.warns(TrackingWarning, match="sparkopt replay"):
        search(spark, with_a_large_file, 2)
    (kept,) = tmp_path.glob("sparkopt-mlflow-*.jsonl")
    proxy.intercept = lambda asked: None
    replay(kept)
    _, found = runs_of(client)
    for tid, run in found.items():
        assert run.data.metrics["loss"] == tid
        assert content(client, run, "large.txt") == b"word" * (1 << 20)


def with_a_large_file(case):
    import mlflow

    mlflow.log_text("word" * (1 << 20), "large.txt")
    return case
