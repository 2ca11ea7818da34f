"""Tracking to a real MLflow server over http, also to one that goes away."""

from __future__ import annotations

import http.client
import os
import shutil
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import psutil
import pytest
from mlflow import MlflowClient
from runs import artifacts, children, main_runs
from study_tools import CASE, in_order

from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrackingWarning
from sparkopt.tracking import writer
from sparkopt.tracking.file import replay

SECONDS = 120


class Server:
    """A server on loopback with a database and artifacts in a directory; can be killed and started again."""

    def __init__(self, directory, port):
        self.directory = directory
        self.port = port
        self.uri = f"http://127.0.0.1:{port}"

    def start(self):
        command = [sys.executable, "-m", "mlflow", "server", "--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.directory / "artifacts")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        reading, writing = os.pipe()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.directory,
                start_new_session=True,
                pass_fds=[writing],
            )
        os.close(writing)
        self._alive = reading
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        probe = psutil.Process(self._process.pid)
        for _ in range(10_000):
            assert self._process.poll() is None, (self.directory / "log").read_text()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
            try:
                connection.request("GET", "/health")
                assert connection.getresponse().status == 200
                return
            except ConnectionError:
                # Nobody listens yet: until the next change of its children, or a moment.
                psutil.wait_procs([probe], timeout=0.05)
            finally:
                connection.close()
        raise AssertionError("the server did not come up")

    def kill(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(SECONDS)
        os.read(self._alive, 1)  # the end of all that it forked
        os.close(self._alive)


@pytest.fixture(scope="module")
def server(empty_store, tmp_path_factory):
    directory = tmp_path_factory.mktemp("server")
    shutil.copy(empty_store, directory / "mlflow.db")
    with socket.socket() as finder:
        finder.bind(("127.0.0.1", 0))
        port = finder.getsockname()[1]
    own = Server(directory, port)
    own.start()
    yield own
    own.kill()


@pytest.fixture
def client(server, tmp_path, monkeypatch):
    """The server is MLflow's current store, in an experiment of the test's own."""
    assert urlsplit(server.uri).hostname == "127.0.0.1"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", server.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    client = MlflowClient(server.uri)
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment(tmp_path.name))
    return client


def test_a_search_over_http(spark, client, capsys):
    trials = SparkTrials(2, spark_session=spark, tracking=True)
    fmin(lambda case: case, CASE, in_order, 5, trials=trials, verbose=False)
    (main,) = main_runs(client)
    found = children(client, main)
    assert main.info.status == "FINISHED"
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(5)}
    assert all(run.info.status == "FINISHED" for run in found.values())
    assert "fmin/loss_over_trials.png" in artifacts(client, main)
    # One line and another for the study's own run, and none for its children.
    assert capsys.readouterr().out.count("View run") == 1


def test_a_server_that_goes_away_in_mid_search_loses_nothing(spark, server, client, tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "PATIENCE", 0.0)

    def early_stop(trials, *rest):
        if len(trials.trials) == 2:
            server.kill()
        return False, rest

    trials = SparkTrials(1, spark_session=spark, tracking=True)
    with pytest.warns(TrackingWarning, match=r"`sparkopt replay sparkopt-mlflow-\w+\.jsonl`"):
        best = fmin(
            lambda case: case, CASE, in_order, 6, trials=trials, early_stop_fn=early_stop, verbose=False
        )
    assert best == {"case": 0}
    assert trials.count_successful_trials() == 6
    (kept,) = tmp_path.glob("sparkopt-mlflow-*.jsonl")
    server.start()
    replay(kept)
    (main,) = main_runs(client)
    assert main.info.status == "FINISHED"
    found = children(client, main)
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in range(6)}
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    assert main.data.metrics["total_trials_count"] == 6
    assert "fmin/loss_over_trials.png" in artifacts(client, main)
