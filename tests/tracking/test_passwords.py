"""Passwords in the address of a tracking store: they work, and nothing that is shown or written holds one."""

from __future__ import annotations

import base64
import http.client
import http.server
import json
import logging
import pickle
import threading
import traceback
import warnings

import mlflow
import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from sparkopt import SparkTrials, fmin
from sparkopt.cli import main as command
from sparkopt.coordinator import Request
from sparkopt.errors import TrackingError, TrackingWarning
from sparkopt.tracking import writer
from sparkopt.tracking.file import RecordFile
from sparkopt.tracking.masking import MASK
from sparkopt.tracking.record_replay import replay
from sparkopt.tracking.relay import Relay
from sparkopt.tracking.relay_protocol import RelayError, unpack_answer
from sparkopt.tracking.run_records import End
from sparkopt.tracking.store import Store
from tests.support.mlflow_parts import needs_databases
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import artifacts, children, main_runs
from tests.tracking.versions import PRINTS_ADDRESSES

PASSWORD = "S3cretPW"
ALLOWED = "Basic " + base64.b64encode(f"someone:{PASSWORD}".encode()).decode()


class Guard(http.server.ThreadingHTTPServer):
    """Lets through to a server who has the password; lets nobody through while it is closed."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Door)
        self.port_behind = 0
        self.closed = True
        self.uri = f"http://someone:{PASSWORD}@127.0.0.1:{self.server_port}"


class Door(http.server.BaseHTTPRequestHandler):
    def _let_through(self):
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        if self.server.closed or (self.headers.get("authorization") != ALLOWED and self.path != "/"):
            said = f"not for {self.headers.get('authorization')}"
            self.send_error(503 if self.server.closed else 401, said)
            return
        connection = http.client.HTTPConnection("127.0.0.1", self.server.port_behind)
        own = ("host", "authorization")
        kept = {name: value for name, value in self.headers.items() if name.lower() not in own}
        connection.request(self.command, self.path, body, kept)
        answer = connection.getresponse()
        data = answer.read()
        connection.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("transfer-encoding", "content-length", "connection"):
                self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _let_through

    def log_message(self, *arguments):
        """Nothing."""


@pytest.fixture
def guard():
    own = Guard()
    thread = threading.Thread(target=own.serve_forever)
    thread.start()
    yield own
    own.shutdown()
    thread.join()
    own.server_close()


@pytest.fixture
def client(server, guard, tmp_path, monkeypatch):
    """Client of the server itself, without the guard; MLflow's current store goes through the guard."""
    monkeypatch.chdir(tmp_path)
    guard.port_behind, guard.closed = server.port, False
    client = MlflowClient(server.uri)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", guard.uri)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_EXPERIMENT_ID", client.create_experiment(tmp_path.name))
    return client


@pytest.fixture
def heard(capfd, caplog):
    """Returns a function that gives everything that was printed or logged."""
    caplog.set_level(logging.DEBUG, "sparkopt")

    def texts():
        out, err = capfd.readouterr()
        own = "".join(record.getMessage() for record in caplog.records if record.name.startswith("sparkopt"))
        return out + err + own

    return texts


def files_with(text, directory):
    return [path for path in directory.rglob("*") if path.is_file() and text.encode() in path.read_bytes()]


def test_a_search_is_tracked_and_nobody_sees_the_password(spark, client, tmp_path, heard):
    def objective(case):
        import mlflow

        mlflow.log_metric("own", case)
        mlflow.log_text("what it says", "folder/file.txt")
        return case

    trials = SparkTrials(1, spark_session=spark, tracking=True, journal=tmp_path / "journal")
    fmin(
        *(objective, CASE, in_order, 1),
        trials=trials,
        trials_save_file=tmp_path / "trials",
    )
    (main,) = main_runs(client)
    assert main.info.status == "FINISHED"
    found = client.search_runs([main.info.experiment_id], f"tags.`mlflow.parentRunId` = '{main.info.run_id}'")
    assert found[0].data.metrics["own"] == 0
    assert artifacts(client, found[0], "folder") == ["folder/file.txt"]
    said = heard()
    shown = f"View run {main.info.run_name} at: http://someone:{MASK}@127.0.0.1" in said
    assert shown is PRINTS_ADDRESSES
    assert PASSWORD not in said
    assert files_with(PASSWORD, tmp_path) == []
    runs = [main, *found]
    assert PASSWORD not in repr([(run.data.tags, run.data.params) for run in runs])
    assert PASSWORD.encode() not in pickle.dumps(trials)


def test_what_an_objective_hears_of_the_store(guard, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    relay = Relay(MlflowClient(guard.uri), "0", lambda tid: "0" * 32)
    with pytest.raises(RelayError) as caught:
        unpack_answer(relay.answer(Request(0, 1, "worker", 1, "run", b"")))
    relay.close()
    assert f"someone:{MASK}@127.0.0.1" in caught.value.message
    assert PASSWORD not in caught.value.message


def test_a_store_that_goes_away(spark, client, guard, tmp_path, monkeypatch, heard):
    monkeypatch.setattr(writer, "PATIENCE", 0.0)

    def close(trials, *rest):
        guard.closed = True
        return False, rest

    trials = SparkTrials(1, spark_session=spark, tracking=True)
    with pytest.warns(TrackingWarning) as told:
        fmin(lambda case: case, CASE, in_order, 3, trials=trials, early_stop_fn=close, verbose=False)
    (kept,) = tmp_path.glob("sparkopt-mlflow-*.jsonl")
    said = "".join(str(each.message) for each in told)
    assert f"http://someone:{MASK}@127.0.0.1" in said
    assert "with MLFLOW_TRACKING_URI as it is now" in said
    assert kept.stat().st_mode & 0o777 == 0o600
    failed = CliRunner().invoke(command, ["replay", str(kept)])
    assert failed.exit_code == 1
    assert f"someone:{MASK}@" in failed.output
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
        asked = CliRunner().invoke(command, ["replay", str(kept)])
    assert "does not hold its password: set MLFLOW_TRACKING_URI" in asked.output
    assert PASSWORD not in said + failed.output + asked.output + heard()
    assert files_with(PASSWORD, tmp_path) == []
    guard.closed = False
    assert "records written" in CliRunner().invoke(command, ["replay", str(kept)]).output
    (main,) = main_runs(client)
    assert {tid: run.data.metrics["loss"] for tid, run in children(client, main).items()} == {
        0: 0,
        1: 1,
        2: 2,
    }


@pytest.mark.parametrize("port", [1, "nonsense", None])
def test_a_store_that_is_not_there(spark, tmp_path, monkeypatch, guard, heard, port):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv(
        "MLFLOW_TRACKING_URI", guard.uri if port is None else f"http://someone:{PASSWORD}@127.0.0.1:{port}"
    )
    with pytest.raises(TrackingError, match="cannot be used") as caught:
        fmin(lambda case: case, CASE, in_order, 1, trials=SparkTrials(1, spark_session=spark, tracking=True))
    assert mlflow.active_run() is None
    # Also what no traceback shows, but others might.
    error = caught.value
    while error is not None:
        assert PASSWORD not in "".join(traceback.format_exception(error))
        error = error.__context__ or error.__cause__
    assert PASSWORD not in heard()


@needs_databases
def test_a_databases_driver_that_quotes_its_address(spark, tmp_path, monkeypatch, heard):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"postgresql://someone:{PASSWORD}@127.0.0.1:1/db")
    with pytest.raises(TrackingError, match=rf"postgresql://someone:{'[*]' * 3}@127") as caught:
        fmin(lambda case: case, CASE, in_order, 1, trials=SparkTrials(1, spark_session=spark, tracking=True))
    assert PASSWORD not in "".join(traceback.format_exception(caught.value)) + heard()


def test_a_file_that_was_there_is_its_owners_again(new_store, tmp_path):
    path = tmp_path / "kept"
    path.write_text("before")
    path.chmod(0o644)
    store = Store(new_store(tmp_path), "0", "main")
    file = RecordFile.create(path, store)
    file.add(End(None, "FINISHED", 1))
    file.close()
    assert path.stat().st_mode & 0o777 == 0o600
    assert json.loads(path.read_text().splitlines()[0])["uri"] == store.uri
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(TrackingError):
            replay(path)
    assert path.stat().st_mode & 0o777 == 0o600
