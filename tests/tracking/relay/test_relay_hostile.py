"""A worker that asks for what is not its trial's, or for what is no request at all, gets nothing."""

from __future__ import annotations

import logging
import os
import pickle
from pathlib import Path

import mlflow
import pytest
from mlflow.entities import Metric, Param, RunTag
from mlflow.protos import service_pb2 as pb

from sparkopt.coordinator import Request
from sparkopt.tracking import relay_protocol as protocol
from sparkopt.tracking.relay import Relay
from sparkopt.tracking.relay_protocol import Label, RelayError
from sparkopt.tracking.run_records import Log, LogArtifact
from tests.tracking.versions import HAS_LOGGED_MODELS, needs_logged_models

MIB = 2**20
MINE, OTHER = 1, 2
NOTHING = "0" * 32


class Worker:
    """Asks as it likes, for a trial."""

    def __init__(self, desk, tid=MINE):
        self.desk = desk
        self.tid = tid
        self.run = desk.run_of(tid)

    def ask(self, method, body=b""):
        """The answer, read."""
        answer = self.desk.relay.answer(Request(self.tid, 1, "worker", 1, method, body))
        return answer if isinstance(answer, Path) else protocol.unpack_answer(answer)

    def call(self, message):
        """Send a message of MLflow's; the response."""
        answer = self.ask(type(message).__name__, message.SerializeToString())
        return type(message).Response.FromString(answer)

    def put(self, path, content=b"x", owner=None, kind="runs"):
        """Store a file."""
        return self.ask(protocol.PUT, content + protocol.trailer(Label(kind, owner or self.run, path)))

    def artifact(self, method, path, owner=None, kind="runs"):
        """List or get."""
        return self.ask(method, Label(kind, owner or self.run, path).encode())

    def model(self):
        """Make a model; its id."""
        return self.call(pb.CreateLoggedModel(experiment_id=self.desk.experiment)).model.info.model_id


@pytest.fixture(scope="module")
def desk(make_desk):
    return make_desk()


@pytest.fixture
def worker(desk):
    return Worker(desk)


@pytest.fixture
def other(desk):
    """Another trial's, with a run and a model to be kept from the first."""
    return Worker(desk, OTHER)


def refused(call, *arguments, match="refused"):
    with pytest.raises(RelayError, match=match) as caught:
        call(*arguments)
    assert caught.value.code in ("PERMISSION_DENIED", "INVALID_PARAMETER_VALUE")


def about(run_id):
    """A message of each kind that is about a run."""
    messages = [
        pb.GetRun(run_id=run_id),
        pb.GetRun(run_uuid=run_id),
        pb.UpdateRun(run_id=run_id, run_name="stolen"),
        pb.DeleteRun(run_id=run_id),
        pb.LogBatch(run_id=run_id, params=[Param("stolen", "1").to_proto()]),
        pb.DeleteTag(run_id=run_id, key="tid"),
        pb.GetMetricHistory(run_id=run_id, metric_key="m"),
        pb.LogInputs(run_id=run_id),
        pb.LogModel(run_id=run_id, model_json="{}"),
        pb.CreateRun(tags=[RunTag("mlflow.parentRunId", run_id).to_proto()]),
    ]
    if HAS_LOGGED_MODELS:
        messages += [pb.LogOutputs(run_id=run_id), pb.CreateLoggedModel(source_run_id=run_id)]
    return messages


@pytest.mark.parametrize("number", range(len(about(""))))
def test_no_message_reaches_another_run(desk, worker, other, number):
    for run_id in (other.run, desk.main, NOTHING, ""):
        message = about(run_id)[number]
        if "experiment_id" in message.DESCRIPTOR.fields_by_name:
            if not run_id:
                continue  # by which they mean the trial's own
            message.experiment_id = desk.experiment
        refused(worker.call, message)
    run = desk.run(OTHER)
    assert (run.data.params, run.info.lifecycle_stage) == ({}, "active")
    assert run.info.run_name != "stolen"
    assert run.data.tags["tid"] == str(OTHER)


def model_messages(model_id):
    """A message of each kind that is about a model."""
    return [
        pb.GetLoggedModel(model_id=model_id),
        pb.FinalizeLoggedModel(model_id=model_id, status=pb.LOGGED_MODEL_UPLOAD_FAILED),
        pb.SetLoggedModelTags(model_id=model_id),
        pb.DeleteLoggedModelTag(model_id=model_id, tag_key="k"),
        pb.LogLoggedModelParamsRequest(model_id=model_id),
    ]


@needs_logged_models
def test_no_message_reaches_another_model(desk, worker, other):
    foreign = other.model()
    for model_id in (foreign, "m-" + NOTHING, ""):
        for message in model_messages(model_id):
            refused(worker.call, message)
    metric = Metric("m", 1.0, 1, 0, model_id=foreign).to_proto()
    refused(worker.call, pb.LogBatch(run_id=worker.run, metrics=[metric]))
    refused(worker.call, pb.LogOutputs(run_id=worker.run, models=[pb.ModelOutput(model_id=foreign)]))
    refused(worker.call, pb.LogInputs(run_id=worker.run, models=[pb.ModelInput(model_id=foreign)]))
    mine = worker.model()
    found = worker.call(pb.SearchLoggedModels(experiment_ids=[desk.experiment], filter="name LIKE '%'"))
    assert mine in {each.info.model_id for each in found.models}
    assert foreign not in {each.info.model_id for each in found.models}
    assert desk.client.get_logged_model(foreign).metrics in (None, [])


def test_runs_and_models_are_made_in_the_searchs_experiment_only(desk, worker):
    for experiment in ("0", "77", ""):
        refused(worker.call, pb.CreateRun(experiment_id=experiment))
        if HAS_LOGGED_MODELS:
            refused(worker.call, pb.CreateLoggedModel(experiment_id=experiment))


def test_a_run_stays_where_it_is_in_the_tree(desk, worker, other):
    for run_id in (other.run, desk.main, worker.run):
        tag = RunTag("mlflow.parentRunId", run_id).to_proto()
        refused(worker.call, pb.LogBatch(run_id=worker.run, tags=[tag]))
    refused(worker.call, pb.DeleteTag(run_id=worker.run, key="mlflow.parentRunId"))
    assert desk.run(MINE).data.tags["mlflow.parentRunId"] == desk.main


def test_how_the_trials_run_ends_is_not_the_workers_to_say(desk, worker):
    worker.call(pb.UpdateRun(run_id=worker.run, status=pb.FINISHED, end_time=1))
    refused(worker.call, pb.DeleteRun(run_id=worker.run))
    assert (desk.run(MINE).info.status, desk.run(MINE).info.end_time) == ("RUNNING", None)


def test_what_it_has_made_is_its_own(desk, worker):
    made = worker.call(pb.CreateRun(experiment_id=desk.experiment, run_name="child")).run
    assert [(tag.key, tag.value) for tag in made.data.tags if tag.key == "mlflow.parentRunId"] == [
        ("mlflow.parentRunId", worker.run)
    ]
    worker.call(pb.LogBatch(run_id=made.info.run_id, params=[Param("p", "1").to_proto()]))
    worker.call(pb.UpdateRun(run_id=made.info.run_id, status=pb.FAILED, end_time=5))
    run = desk.client.get_run(made.info.run_id)
    assert (run.data.params, run.info.status, run.info.end_time) == ({"p": "1"}, "FAILED", 5)
    worker.call(pb.DeleteRun(run_id=made.info.run_id))
    assert desk.client.get_run(made.info.run_id).info.lifecycle_stage == "deleted"


@pytest.mark.parametrize(
    "method", ["DeleteExperiment", "SearchRuns", "RestoreRun", "Run", "__init__", "", "artifact"]
)
def test_what_is_not_on_the_list_is_refused(worker, method):
    refused(worker.ask, method)


def run_this():
    Path("was-run").touch()


class Trap:
    def __reduce__(self):
        return run_this, ()


@pytest.mark.parametrize(
    "body", [b"\xff\xff\xff", b"\x0a\x80", pickle.dumps(Trap())], ids=["noise", "short", "pickle"]
)
@pytest.mark.parametrize("method", ["LogBatch", "LogModel", protocol.PUT, protocol.LIST, protocol.GET])
def test_what_cannot_be_read_is_refused(worker, method, body, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    refused(worker.ask, method, body, match="cannot be read")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "label",
    [b"[]", b"{}", b'{"kind": "runs", "owner": 1, "path": "x"}', b'{"kind": "runs", "owner": "x"}', b"\xff"],
)
def test_a_label_that_is_none_is_refused(worker, label):
    refused(worker.ask, protocol.LIST, label, match="cannot be read")
    refused(worker.ask, protocol.PUT, label + len(label).to_bytes(4, "big"), match="cannot be read")


OUT = [
    "../x",
    "..",
    "a/../../x",
    "a/..",
    "/etc/passwd",
    "..%2fx",
    "%2e%2e/x",
    "%252e%252e/x",
    "a\\..\\..\\x",
    "file:///etc/passwd",
    "file:x",
    "c:/x",
    "~/x",
    "./x",
    "a//b",
    "a/./b",
    "a\0b",
    "a%00b",
    "a%5c..%5cx",
    "a\nb",
    "a#b",
]


@pytest.mark.parametrize("path", OUT)
def test_no_path_leads_out_of_the_artifacts(desk, worker, path, tmp_path):
    owners = [("runs", worker.run)]
    if HAS_LOGGED_MODELS:
        owners.append(("models", worker.model()))
    for kind, owner in owners:
        refused(worker.put, path, b"x", owner, kind, match="Invalid path")
        refused(worker.artifact, protocol.LIST, path, owner, kind, match="Invalid path")
        refused(worker.artifact, protocol.GET, path, owner, kind, match="Invalid path")


@pytest.mark.parametrize("path", ["a%17b", "images/steps%step%2%timestamp%1796%6722a4eb.png", "100%.txt"])
def test_percent_signs_of_a_name_are_its_own(desk, worker, path):
    worker.put(path, b"content")
    assert (artifacts_of(desk, worker.run) / path).read_bytes() == b"content"


def test_a_call_that_the_drivers_mlflow_lacks_is_refused_by_name(desk, worker, monkeypatch):
    monkeypatch.delitem(desk.relay._calls, "LogModel")
    refused(worker.ask, "LogModel", match=f"MLflow on the driver is {mlflow.__version__} and has no LogModel")


def test_no_path_is_no_file(worker):
    for path in ("", "a/"):
        refused(worker.put, path, match="Invalid path")


def test_artifacts_of_others_are_not_there(desk, worker, other):
    other.put("secret.txt")
    model = other.model() if HAS_LOGGED_MODELS else "m-" + NOTHING
    for kind, owner in (("runs", other.run), ("runs", desk.main), ("models", model), ("experiments", "0")):
        refused(worker.put, "x", b"x", owner, kind)
        for method in (protocol.LIST, protocol.GET):
            refused(worker.artifact, method, "secret.txt", owner, kind)
    assert desk.files(other.run) == ["secret.txt"]


def artifacts_of(desk, run_id):
    return Path(desk.client.get_run(run_id).info.artifact_uri.removeprefix("file://"))


def test_no_symbolic_link_is_followed(desk, worker, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    worker.put("dir/file")
    here = artifacts_of(desk, worker.run)
    (here / "link").symlink_to(outside)
    (here / "dir" / "alias").symlink_to(outside / "secret")
    try:
        for path in ("link/secret", "dir/alias"):
            refused(worker.artifact, protocol.GET, path, match="symbolic link")
            refused(worker.put, path, match="symbolic link")
        refused(worker.artifact, protocol.LIST, "link", match="symbolic link")
        refused(worker.put, "link/new", match="symbolic link")
    finally:
        (here / "link").unlink()
        (here / "dir" / "alias").unlink()
    assert {path.name: path.read_text() for path in outside.iterdir()} == {"secret": "secret"}


def test_files_come_and_go_whole_and_leave_nothing_behind(desk, worker, tmp_path):
    large = os.urandom(3 * MIB)
    body = tmp_path / "body"
    body.write_bytes(large + protocol.trailer(Label("runs", worker.run, "whole/large")))
    assert worker.ask(protocol.PUT, body) == b""
    worker.put("whole/small", b"small")
    worker.put("whole/empty", b"")
    answer = worker.artifact(protocol.GET, "whole/large")
    assert isinstance(answer, Path)
    assert answer.read_bytes() == large
    answer.unlink()
    assert worker.artifact(protocol.GET, "whole/small") == b"small"
    assert worker.artifact(protocol.GET, "whole/empty") == b""
    listed = pb.ListArtifacts.Response.FromString(worker.artifact(protocol.LIST, "whole"))
    assert {each.path: each.file_size for each in listed.files} == {
        "whole/large": 3 * MIB,
        "whole/small": 5,
        "whole/empty": 0,
    }
    with pytest.raises(RelayError, match="No such artifact"):
        worker.artifact(protocol.GET, "whole/none")
    with pytest.raises(RelayError):
        worker.artifact(protocol.GET, "whole")
    refused_body = tmp_path / "refused"
    refused_body.write_bytes(b"x" + protocol.trailer(Label("runs", worker.run, "../x")))
    refused(worker.ask, protocol.PUT, refused_body, match="Invalid path")
    assert list(tmp_path.iterdir()) == []
    left = [path for path in desk.relay._files._directory.rglob("*") if path.is_file()]
    assert left == []


@needs_logged_models
def test_a_models_description_names_the_place_that_its_reader_knows(desk, worker):
    model = worker.model()
    inside = protocol.artifact_uri("models", model)
    outside = desk.client.get_logged_model(model).artifact_location
    described = f"artifact_path: {inside}\nmodel_id: {model}\n".encode()
    worker.put("MLmodel", described, model, "models")
    real = Path(outside.removeprefix("file://"), "MLmodel")
    assert real.read_text() == f"artifact_path: {outside}\nmodel_id: {model}\n"
    assert worker.artifact(protocol.GET, "MLmodel", model, "models") == described


def test_a_store_that_fails_is_an_answer_too(desk):
    def no_run(tid):
        raise ConnectionError("the store is away")

    relay = Relay(desk.client, desk.experiment, no_run)
    with pytest.raises(
        RelayError, match="could not be reached or used: ConnectionError: the store is away"
    ) as caught:
        protocol.unpack_answer(relay.answer(Request(7, 1, "worker", 1, protocol.RUN, b"")))
    assert caught.value.code == "INTERNAL_ERROR"


def test_a_run_that_stays_open_is_logged(desk, caplog):
    caplog.set_level(logging.WARNING, "sparkopt.tracking")
    worker = Worker(desk, tid=3)
    made = [worker.call(pb.CreateRun(experiment_id=desk.experiment)).run.info.run_id for _ in range(2)]
    desk.client.delete_run(made[0])  # the store ends no run that was deleted
    desk.relay.settle(worker.tid)
    (record,) = (each for each in caplog.records if each.name == "sparkopt.tracking")
    assert made[0] in record.getMessage()
    assert desk.client.get_run(made[1]).info.status == "KILLED"


def test_errors_of_the_store_keep_their_code(desk, worker):
    first, second = (pb.LogBatch(run_id=worker.run, params=[Param("p", value).to_proto()]) for value in "12")
    worker.call(first)
    worker.call(first)
    with pytest.raises(RelayError, match="p") as caught:
        worker.call(second)
    assert caught.value.code == "INVALID_PARAMETER_VALUE"


def test_without_a_store_what_is_logged_becomes_records(desk):
    def no_run(tid):
        raise KeyError(tid)

    records = []
    relay = Relay(
        desk.client,
        desk.experiment,
        no_run,
        lambda record, attempt: records.append((record, attempt)),
        lambda: True,
    )

    def ask(method, body=b""):
        return protocol.unpack_answer(relay.answer(Request(7, 1, "worker", 1, method, body)))

    run = pb.Run.FromString(protocol.part(ask(protocol.RUN))[0]).info
    assert (run.run_id, run.experiment_id, run.lifecycle_stage) == ("trial-7", desk.experiment, "active")
    batch = pb.LogBatch(
        run_id=run.run_id,
        metrics=[Metric("m", 1.5, 9, 2).to_proto()],
        params=[Param("p", "1").to_proto()],
        tags=[RunTag("t", "v").to_proto()],
    )
    ask("LogBatch", batch.SerializeToString())
    ask(protocol.PUT, b"words" + protocol.trailer(Label("runs", run.run_id, "dir/w.txt")))
    (log, _), (put, attempt) = records
    assert attempt == 1
    assert log == Log(7, {"p": "1"}, [("m", 1.5, 9, 2)], {"t": "v"})
    assert put == LogArtifact(7, "dir/w.txt", b"words")
    with pytest.raises(RelayError, match="the tracking store is gone"):
        ask("CreateRun", pb.CreateRun(experiment_id=desk.experiment).SerializeToString())
    with pytest.raises(RelayError, match="refused: run"):
        ask("LogBatch", pb.LogBatch(run_id=desk.main).SerializeToString())
    refused(
        ask, protocol.PUT, b"x" + protocol.trailer(Label("runs", run.run_id, "../x")), match="Invalid path"
    )
    assert len(records) == 2
