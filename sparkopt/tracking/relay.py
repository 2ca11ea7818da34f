"""The driver's half of the relay: answers what MLflow's client on a worker asks.

    request ──▶ is it on the list? ──▶ is it about something of the trial's? ──▶ MlflowClient ──▶ answer

A worker chooses every word of a request. So messages are taken from a list, ids from what the trial owns,
paths are checked, and nothing is unpickled. A worker never learns where the store or its artifacts are:
addresses of artifacts are replaced on their way.

Parameters, metrics, tags and files of the trial's own run may become records instead, which a writer
merges, and keeps when the store is gone: no trial fails for that.

Requests of one trial are answered one after the other, those of different trials side by side.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

from google.protobuf.message import DecodeError
from mlflow import MlflowClient
from mlflow.entities import DatasetInput, Param, Run, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos import service_pb2 as pb
from mlflow.utils.mlflow_tags import (
    MLFLOW_LOGGED_MODELS,
    MLFLOW_PARENT_RUN_ID,
    MLFLOW_SOURCE_NAME,
    MLFLOW_SOURCE_TYPE,
    MLFLOW_USER,
)

from sparkopt.coordinator import Request
from sparkopt.tracking import relay_protocol, versions
from sparkopt.tracking.files import Files
from sparkopt.tracking.masking import mask
from sparkopt.tracking.ownership import OwnedEntities, refused
from sparkopt.tracking.relay_protocol import BriefRun, Label, RelayError, artifact_uri
from sparkopt.tracking.run_records import Log, LogArtifact
from sparkopt.tracking.run_records import Metric as Logged
from sparkopt.tracking.store import end_run, is_busy, is_passing, is_rate_limit, unwrapped
from sparkopt.wire.actor_log import ActorLog

if TYPE_CHECKING:
    from sparkopt.tracking.models import Models

_LOG: Final = ActorLog("tracking")

_INHERITED: Final = (MLFLOW_USER, MLFLOW_SOURCE_NAME, MLFLOW_SOURCE_TYPE)
"""Tags that say whose work a run is. MLflow sets them where it runs, which on a worker is nobody's script."""

_READING: Final = frozenset(
    {
        "DeleteRun",
        "DeleteTag",
        "GetLoggedModel",
        "GetMetricHistory",
        "GetRun",
        "LogModel",
        "SearchLoggedModels",
    }
)
"""Messages whose answer depends on what was logged before them."""

_MAKING: Final = frozenset({"CreateLoggedModel", "CreateRun", "LogModel"})
"""Messages that must not be carried out twice: if an answer was lost, the worker hears so."""

Insist: TypeAlias = Callable[[Callable[[], Any], Callable[[Exception], bool]], Any]

_ENDED: Final = tuple(RunStatus.from_string(name) for name in ("FINISHED", "FAILED", "KILLED"))

_LARGEST_STEP: Final = 2**63 - 1


class Relay:
    """Answers requests of a study's trials. Used from several threads, for different trials.

    Args:
        client: of the tracking store.
        experiment_id: of the study's runs.
        run_of: the id of a trial's run, by the trial's id; may wait for it to be made.
        record: takes what an attempt, by its number, logs to its trial's own run, if somebody else writes
            that.
        is_gone: whether the store is out of reach for good.
        flush: writes what ``record`` has taken for a trial.
        begun: a trial's run as it began, with its parameters, if that is known here.
        direct: whether workers learn where artifacts are, and store them themselves.
        insist: calls a function of the store, and again if what it has raised passes.
    """

    def __init__(
        self,
        client: MlflowClient,
        experiment_id: str,
        run_of: Callable[[int], str],
        record: Callable[[Log | LogArtifact, int], None] | None = None,
        is_gone: Callable[[], bool] = lambda: False,
        flush: Callable[[int], None] = lambda tid: None,
        begun: Callable[[int], Run | None] = lambda tid: None,
        direct: bool = False,
        insist: Insist = lambda call, passes: call(),
    ) -> None:
        self._insist = insist
        self._direct = direct
        self._record = record
        self._is_gone = is_gone
        self._flush = flush
        self._begun = begun
        self._experiment: Any = None
        self._client = client
        self._experiment_id = experiment_id
        self._run_of = run_of
        self._trials: dict[int, OwnedEntities] = {}
        self._files = Files(client, lambda store: insist(store, is_busy))
        self._calls: dict[str, Callable[[OwnedEntities, Any], Any]] = {
            "CreateRun": self._create_run,
            "DeleteRun": self._delete_run,
            "DeleteTag": self._delete_tag,
            "GetMetricHistory": self._get_metric_history,
            "GetRun": self._get_run,
            "LogBatch": self._log_batch,
            "LogInputs": self._log_inputs,
            "LogModel": self._log_model,
            "UpdateRun": self._update_run,
        }
        self._models: Models | None = None
        if versions.HAS_LOGGED_MODELS:
            from sparkopt.tracking.models import Models

            self._models = Models(client, experiment_id, direct)
            self._calls |= self._models.calls
        assert self._calls.keys() <= relay_protocol.CALLS

    def answer(self, request: Request) -> bytes | Path:
        """Do what a worker asks for. Never raises: what goes wrong is part of the answer.

        Returns:
            What the worker is to get; a file is the caller's to remove.
        """
        try:
            return self._answer(request)
        except RelayError as error:
            return self._refusal(error.code, error.message)
        except MlflowException as error:
            return self._refusal(unwrapped(error).error_code, error.message)
        except Exception as error:  # noqa: BLE001 - a worker waits, and the next request is another's
            said = f"the tracking store could not be reached or used: {type(error).__name__}: {error}"
            return self._refusal("INTERNAL_ERROR", said)
        finally:
            self.discard(request)

    def discard(self, request: Request) -> None:
        """Remove what a request has brought with it."""
        if isinstance(request.body, Path):
            request.body.unlink(missing_ok=True)

    def last(self, tid: int, metrics: Iterable[Logged]) -> list[Logged]:
        """Metrics of a trial, with steps that come after those that its objective has logged by their names.

        The value of a metric, by which runs are sorted, is the one of its largest step.
        """
        trial = self._trials.get(tid)
        steps = {} if trial is None else trial.steps
        return [
            (key, value, when, min(steps[key] + 1, _LARGEST_STEP) if key in steps else step)
            for key, value, when, step in metrics
        ]

    def settle(self, tid: int) -> None:
        """A trial has settled, and asks no more: the runs that it has left open are ended, as killed."""
        trial = self._trials.pop(tid, None)
        if trial is None:
            return
        for run_id in () if self._is_gone() else trial.open_runs:
            try:
                end_run(self._client, run_id, "KILLED")
            except Exception as error:  # noqa: BLE001 - the store is away: then it stays open
                reason = mask(f"{type(error).__name__}: {error}", self._client.tracking_uri)
                _LOG.warning("run stays open", run=run_id, trial=tid, reason=reason)
        for kind, owners in (("runs", trial.runs), ("models", set(trial.models))):
            for owner in owners:
                self._files.forget(kind, owner)

    def close(self) -> None:
        """Remove what is left of files."""
        self._files.close()

    def _refusal(self, code: str, message: str) -> bytes:
        """An error for a worker, which must not learn the store's password."""
        return relay_protocol.pack_error(RelayError(code, mask(message, self._client.tracking_uri)))

    def _answer(self, request: Request) -> bytes | Path:
        trial = self._trials.get(request.tid)
        if trial is None:
            trial = self._trials[request.tid] = OwnedEntities(request.tid, self._id_of(request.tid))
        trial.attempt = request.attempt
        if request.method == relay_protocol.PUT:
            content, label = _labelled(request.body)
            trial.check_label(label)
            self._put(trial, label, content)
            return relay_protocol.pack_answer(b"")
        body = request.body if isinstance(request.body, bytes) else request.body.read_bytes()
        if request.method == relay_protocol.RUN:
            return relay_protocol.pack_answer(self._run_and_experiment(trial))
        if request.method == relay_protocol.BRIEF:
            run = self._or_else(lambda: self._run_of_trial(trial), lambda: self._unseen(trial))
            relayed = run.info.artifact_uri == artifact_uri("runs", run.info.run_id)
            params = {each.key: each.value for each in run.data.params}
            return relay_protocol.pack_answer(BriefRun(run.info.run_id, relayed, params).encode())
        if request.method in (relay_protocol.LIST, relay_protocol.GET):
            label = _label(body)
            trial.check_label(label)
            if request.method == relay_protocol.LIST:
                return relay_protocol.pack_answer(self._files.list(label))
            found = self._files.get(label)
            return found if isinstance(found, Path) else relay_protocol.pack_answer(found)
        call = self._calls.get(request.method)
        if call is None:
            known = request.method in relay_protocol.CALLS
            raise refused(
                f"MLflow on the driver is {versions.VERSION} and has no {request.method}"
                if known
                else f"{request.method!r} is not relayed from inside a trial"
            )
        if self._is_gone() and request.method not in ("GetRun", "LogBatch"):
            raise RelayError(
                "TEMPORARILY_UNAVAILABLE", "the tracking store is gone, and this cannot wait for it"
            )
        message_type = getattr(pb, request.method)
        try:
            message = message_type.FromString(body)
        except DecodeError as error:
            raise _malformed(error) from None
        if request.method in _READING:
            self._flush(trial.tid)
        passes = is_rate_limit if request.method in _MAKING else is_busy
        response = self._insist(lambda: call(trial, message), passes) or message_type.Response()
        return relay_protocol.pack_answer(response.SerializeToString())

    def _put(self, trial: OwnedEntities, label: Label, content: bytes | Path) -> None:
        """Store a file, or have it recorded if the store is gone and it belongs to the trial's run."""
        record = self._record if label.owner == trial.run_id else None
        if record is None or not self._is_gone():
            try:
                self._files.put(label, content)
                return
            except Exception as error:
                if record is None or not is_busy(error):
                    raise
        if isinstance(content, Path):
            record(LogArtifact(trial.tid, label.path, file=str(content)), trial.attempt)
        else:
            record(LogArtifact(trial.tid, label.path, content), trial.attempt)

    # Runs.

    def _id_of(self, tid: int) -> str:
        """The id of a trial's run, or a name for it if it could not be made before the store was gone."""
        try:
            return self._run_of(tid)
        except KeyError:
            if self._is_gone():
                return f"trial-{tid}"
            raise

    def _run_and_experiment(self, trial: OwnedEntities) -> bytes:
        run, experiment = self._or_else(
            lambda: (self._run_of_trial(trial), self._known_experiment()),
            lambda: (self._unseen(trial), self._experiment),
        )
        if experiment is None:
            experiment = pb.Experiment(experiment_id=self._experiment_id)
        return relay_protocol.join(run.SerializeToString(), experiment.SerializeToString())

    def _or_else(self, look: Callable[[], Any], otherwise: Callable[[], Any]) -> Any:
        """Returns what the store says, or what is known without it if it is gone and others write the run."""
        if self._is_gone():
            return otherwise()
        try:
            return look()
        except Exception as error:
            if self._record is None or not is_passing(error):
                raise
            return otherwise()

    def _known_experiment(self) -> Any:
        if self._experiment is None:
            self._experiment = self._client.get_experiment(self._experiment_id).to_proto()
            self._experiment.artifact_location = f"{relay_protocol.SCHEME}:"
        return self._experiment

    def _unseen(self, trial: OwnedEntities) -> Any:
        """Returns what can be said of the trial's run without the store."""
        info = pb.RunInfo(
            run_id=trial.run_id,
            run_uuid=trial.run_id,
            experiment_id=self._experiment_id,
            status=pb.RUNNING,
            lifecycle_stage="active",
            artifact_uri=artifact_uri("runs", trial.run_id),
        )
        return pb.Run(info=info, data=pb.RunData())

    def _run_of_trial(self, trial: OwnedEntities) -> Any:
        """The trial's run as its attempt finds it: as it began, if this is the first."""
        begun = self._begun(trial.tid) if trial.attempt == 1 else None
        if begun is not None:
            return self._shown(begun)
        self._flush(trial.tid)
        return self._run(trial.run_id)

    def _run(self, run_id: str) -> Any:
        return self._shown(self._client.get_run(run_id))

    def _shown(self, run: Run) -> Any:
        """A run as a worker sees it."""
        self._files.note("runs", run.info.run_id, run.info.artifact_uri)
        shown = run.to_proto()
        if self._direct:
            shown.info.artifact_uri = versions.direct_address(
                run.info.artifact_uri, self._client.tracking_uri
            )
        else:
            shown.info.artifact_uri = artifact_uri("runs", run.info.run_id)
        return shown

    def _get_run(self, trial: OwnedEntities, message: Any) -> Any:
        run_id = trial.check_run(message.run_id or message.run_uuid)
        gone = self._is_gone() and run_id == trial.run_id
        return pb.GetRun.Response(run=self._unseen(trial) if gone else self._run(run_id))

    def _create_run(self, trial: OwnedEntities, message: Any) -> Any:
        if message.experiment_id != self._experiment_id:
            raise refused("a trial makes runs in the experiment of its search only")
        tags = {tag.key: tag.value for tag in message.tags}
        parent = trial.check_run(tags.get(MLFLOW_PARENT_RUN_ID, trial.run_id))
        whose = (self._begun(trial.tid) or self._client.get_run(trial.run_id)).data.tags
        tags |= {name: whose[name] for name in _INHERITED if name in whose}
        tags[MLFLOW_PARENT_RUN_ID] = parent
        name, start = message.run_name or None, message.start_time or None
        run = self._client.create_run(self._experiment_id, start, tags, name)
        trial.runs.add(run.info.run_id)
        trial.open_runs.add(run.info.run_id)
        return pb.CreateRun.Response(run=self._shown(run))

    def _update_run(self, trial: OwnedEntities, message: Any) -> Any:
        run_id = trial.check_run(message.run_id or message.run_uuid)
        if message.run_name:
            self._client.update_run(run_id, name=message.run_name)
        if run_id != trial.run_id and message.HasField("status"):
            status = RunStatus.to_string(message.status)
            if message.status in _ENDED:
                end_run(self._client, run_id, status, message.end_time or None)
                trial.open_runs.discard(run_id)
            else:
                self._client.update_run(run_id, status=status)
                trial.open_runs.add(run_id)
        return pb.UpdateRun.Response(run_info=self._run(run_id).info)

    def _delete_run(self, trial: OwnedEntities, message: Any) -> None:
        run_id = trial.check_made_run(message.run_id)
        self._client.delete_run(run_id)
        trial.open_runs.discard(run_id)

    def _log_batch(self, trial: OwnedEntities, message: Any) -> None:
        run_id = trial.check_run(message.run_id)
        linked = [metric for metric in message.metrics if versions.is_linked(metric)]
        trial.check_models(metric.model_id for metric in linked)
        _check_tags(message.tags)
        if run_id == trial.run_id:
            for metric in message.metrics:
                trial.steps[metric.key] = max(metric.step, trial.steps.get(metric.key, metric.step))
        if self._record is not None and run_id == trial.run_id and not linked:
            log = Log(trial.tid)
            log.params = {each.key: each.value for each in message.params}
            log.metrics = [(each.key, each.value, each.timestamp, each.step) for each in message.metrics]
            log.tags = {each.key: each.value for each in message.tags}
            self._record(log, trial.attempt)
            return
        if run_id == trial.run_id:
            self._flush(trial.tid)
        metrics = [versions.metric_of(each) for each in message.metrics]
        params = [Param(each.key, each.value) for each in message.params]
        tags = [RunTag(each.key, each.value) for each in message.tags]
        self._client.log_batch(run_id, metrics, params, tags)

    def _delete_tag(self, trial: OwnedEntities, message: Any) -> None:
        run_id = trial.check_run(message.run_id)
        _check_tags([message])
        self._client.delete_tag(run_id, message.key)

    def _get_metric_history(self, trial: OwnedEntities, message: Any) -> Any:
        run_id = trial.check_run(message.run_id or message.run_uuid)
        history = self._client.get_metric_history(run_id, message.metric_key)
        return pb.GetMetricHistory.Response(metrics=[metric.to_proto() for metric in history])

    def _log_inputs(self, trial: OwnedEntities, message: Any) -> None:
        run_id = trial.check_run(message.run_id)
        datasets = [DatasetInput.from_proto(each) for each in message.datasets]
        more = {} if self._models is None else {"models": self._models.inputs(trial, message)}
        self._client.log_inputs(run_id, datasets=datasets, **more)

    def _log_model(self, trial: OwnedEntities, message: Any) -> None:
        """Returns what older flavours say of a model: one more entry in a tag of the run's."""
        run_id = trial.check_run(message.run_id)
        try:
            new = json.loads(message.model_json)
        except ValueError as error:
            raise _malformed(error) from None
        said = json.loads(self._client.get_run(run_id).data.tags.get(MLFLOW_LOGGED_MODELS, "[]"))
        self._client.set_tag(run_id, MLFLOW_LOGGED_MODELS, json.dumps([*said, new]))


def _labelled(body: bytes | Path) -> tuple[bytes | Path, Label]:
    try:
        return relay_protocol.cut_trailer(body)
    except ValueError as error:
        raise _malformed(error) from None


def _label(body: bytes) -> Label:
    try:
        return Label.decode(body)
    except ValueError as error:
        raise _malformed(error) from None


def _malformed(error: Exception) -> RelayError:
    return RelayError("INVALID_PARAMETER_VALUE", f"a request that cannot be read: {error}")


def _check_tags(tags: Any) -> None:
    """Refuse to move a run elsewhere in the tree of runs."""
    if any(tag.key == MLFLOW_PARENT_RUN_ID for tag in tags):
        raise refused(f"the tag {MLFLOW_PARENT_RUN_ID} is set when a run is made")
