"""Whole searches, most of them over http, behind a proxy that counts, delays and refuses calls."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import psutil
import pytest

from sparkopt import SparkTrials, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import TrackingWarning
from sparkopt.tracking import writer
from sparkopt.tracking.record_replay import replay
from tests.support.paths import python_path
from tests.support.study_tools import CASE, in_order
from tests.tracking.conftest import make_client
from tests.tracking.runs import artifacts, children, content, main_runs


@pytest.fixture
def client(client_behind_proxy):
    """A client of the server itself; MLflow's current store is behind the proxy."""
    return client_behind_proxy


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


@pytest.mark.slow
def test_large_files_of_eight_workers_hold_no_heartbeat_up(server, tmp_path, monkeypatch):
    """Over http, to MLflow's own server: 200 MB from each at the same time."""
    client = make_client(server, server.uri, tmp_path.name, monkeypatch)
    done = subprocess.run(
        [sys.executable, Path(__file__).with_name("large_uploads.py"), str(200_000_000)],
        env={**os.environ, "PYTHONPATH": python_path()},
        cwd=tmp_path,
        timeout=1200,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["succeeded"] == 8
    assert found["growth"] < 300 << 20
    assert found["gap"] < Policy().grace / 3  # from then on a worker would get no trial
    runs = children(client, main_runs(client)[-1])
    assert [run.data.tags["attempt"] for run in runs.values()] == ["1"] * 8
    for run in runs.values():
        (file,) = client.list_artifacts(run.info.run_id)
        assert file.file_size == 200_000_000


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
