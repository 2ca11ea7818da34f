"""MLflow's tracking store inside a trial: what it is asked, it asks the driver.

    mlflow.log_metric ──▶ RelayStore.log_metric ──▶ Buffer ──┐
    anything else ──────▶ RestStore ──▶ _call_endpoint ──────┴─▶ Reporter.ask ──▶ driver: relay.py

MLflow's client for its REST API does the rest: it makes messages of the calls, and has one method for all.
"""

from __future__ import annotations

import json
import re
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, NoReturn

from mlflow.entities import Experiment, Metric, Param, Run, RunInfo, RunStatus, RunTag
from mlflow.exceptions import MlflowException
from mlflow.protos import service_pb2
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, INVALID_PARAMETER_VALUE, PERMISSION_DENIED, ErrorCode
from mlflow.store.tracking.rest_store import RestStore
from mlflow.utils.async_logging.run_operations import RunOperations
from mlflow.utils.proto_json_utils import parse_dict
from mlflow.utils.validation import _validate_metric

from sparkopt.errors import TrialError
from sparkopt.tracking import relay_protocol, versions
from sparkopt.tracking.relay_protocol import RelayError
from sparkopt.tracking.trial.buffer import Buffer
from sparkopt.tracking.trial.few_calls import FAILURES, FewCalls
from sparkopt.tracking.trial.left_out import is_new
from sparkopt.wire.lanes import Lane
from sparkopt.worker.intermediate_values import is_pruned
from sparkopt.worker.reports import Reporter

THE_EXPERIMENT: Final = "of-the-trial"
"""An alias for the id of the trial's experiment, as long as nobody has asked the driver for it."""

_MODEL_PATH: Final = re.compile(r"/logged-models/([^/?]+)(?:/tags/(.+))?")
_READS: Final = frozenset({"GetRun", "GetMetricHistory", "GetLoggedModel", "SearchLoggedModels"})


class Line:
    """The way to the driver for one trial, as MLflow's classes need it: with MLflow's exceptions.

    Attributes:
        directory: where files that are to be sent have to be.

    Args:
        reporter: the trial's.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self.directory = reporter.directory

    def refuse_children(self) -> None:
        """Raise unless this is the trial's own process.

        Raises:
            MlflowException: in a process that the objective has forked: what it logs would not arrive.
        """
        try:
            self._reporter.refuse_children("a call of MLflow")
        except TrialError as error:
            raise as_mlflow_says(error) from None

    def ask(self, method: str, body: bytes | Path = b"") -> bytes | Path:
        """See :meth:`Reporter.ask`.

        Raises:
            MlflowException: whatever is wrong.
        """
        try:
            answer = self._reporter.ask(f"{Lane.MLFLOW.value}.{method}", body)
            return answer if isinstance(answer, Path) else relay_protocol.unpack_answer(answer)
        except FAILURES as error:
            raise as_mlflow_says(error) from error

    def ask_for_bytes(self, method: str, body: bytes = b"") -> bytes:
        """The answer in memory, however it came."""
        try:
            return relay_protocol.read_answer(self._reporter.ask(f"{Lane.MLFLOW.value}.{method}", body))
        except FAILURES as error:
            raise as_mlflow_says(error) from error


class RelayStore(RestStore):
    """The store of one process, for the current trial."""

    def __init__(self) -> None:
        super().__init__(self._no_host)
        self._line: Line | None = None

    def begin(self, line: Line, earlier: FewCalls | None = None) -> None:
        """A trial begins. Nothing is asked yet.

        Args:
            line: the way to the driver.
            earlier: what the trial has logged before MLflow was loaded.
        """
        self._line = line
        self._buffer = Buffer() if earlier is None else earlier.buffer
        self._buffer.send = self._send
        self._lock = threading.Lock()
        self._run: Run | None = None
        self._experiment: Experiment | None = None
        self._unchanged = False
        self._given: dict[str, str] = {}
        self._is_as_it_began = earlier is None or earlier.run is None
        self._params: dict[str, dict[str, str]] = {}
        if earlier is not None and earlier.run is not None:
            self._params[earlier.run.run_id] = earlier.params
        self._has_new_outputs = False
        self._outputs: dict[str, Sequence[Any]] = {}

    def end(self) -> None:
        """The trial has ended; what is still buffered has been flushed."""
        self._line = None

    @property
    def line(self) -> Line:
        """The way to the driver.

        Raises:
            MlflowException: between trials, and in processes that the objective has forked.
        """
        if self._line is None:
            raise MlflowException("this tracking store is only there while a trial runs")
        self._line.refuse_children()
        return self._line

    # The trial's own run and experiment.

    @property
    def asked(self) -> bool:
        """True if anything wanted to know the trial's run yet."""
        return self._run is not None

    @property
    def trial_run(self) -> Run:
        """The trial's run as it was when the first thing was asked."""
        self._ask_for_the_run()
        assert self._run is not None
        return self._run

    def _ask_for_the_run(self) -> Experiment:
        if self._experiment is not None:
            return self._experiment
        line = self.line  # before the lock, which a child may have inherited locked
        with self._lock:
            if self._experiment is None:
                run, experiment = relay_protocol.part(line.ask_for_bytes(relay_protocol.RUN))
                self._run = Run.from_proto(service_pb2.Run.FromString(run))
                self._given = dict(self._run.data.params)
                self._unchanged = self._is_as_it_began
                self._experiment = Experiment.from_proto(service_pb2.Experiment.FromString(experiment))
            return self._experiment

    def get_run(self, run_id: str) -> Run:
        """The trial's run from here, as long as nothing has changed it; any other from the driver."""
        if run_id == self.trial_run.info.run_id and self._unchanged:
            return self.trial_run
        run: Run = super().get_run(run_id)
        return run

    def outputs_of(self, run_id: str) -> Sequence[Any]:
        """The models that a run has made. The driver is asked only if they may have changed."""
        if run_id not in self._outputs:
            is_known = run_id == self.trial_run.info.run_id and not self._has_new_outputs
            outputs = (self.trial_run if is_known else self.get_run(run_id)).outputs
            self._outputs[run_id] = outputs.model_outputs if outputs else ()
        return self._outputs[run_id]

    def update_run_info(self, run_id: str, run_status: Any, end_time: Any, run_name: str | None) -> RunInfo:
        """Rename a run, or set the status of a nested one. That of the trial's run is the driver's to set.

        A run that ``with`` closes because the trial stops early is killed, like the trial's: MLflow takes
        that for a failure.
        """
        if run_id == self.trial_run.info.run_id and run_name is None:
            return self.trial_run.info
        left_by = sys.exc_info()[1]
        if run_status == RunStatus.FAILED and left_by is not None and is_pruned(left_by):
            run_status = RunStatus.KILLED
        info: RunInfo = super().update_run_info(run_id, run_status, end_time, run_name)
        return info

    def get_experiment(self, experiment_id: str) -> Experiment:
        """The trial's experiment; a worker knows no other."""
        experiment = self._ask_for_the_run()
        if str(experiment_id) not in (THE_EXPERIMENT, experiment.experiment_id):
            raise _another_experiment(f"with the id {experiment_id}")
        return experiment

    def get_experiment_by_name(self, experiment_name: str) -> Experiment:
        """The trial's experiment; a worker knows no other."""
        experiment = self._ask_for_the_run()
        if experiment_name != experiment.name:
            raise _another_experiment(f"{experiment_name!r}")
        return experiment

    # What is logged often.

    def log_metric(self, run_id: str, metric: Metric) -> None:
        """Buffer a metric."""
        self._log(run_id, metrics=[metric])

    def log_param(self, run_id: str, param: Param) -> None:
        """Buffer a parameter."""
        self._log(run_id, params=[param])

    def set_tag(self, run_id: str, tag: RunTag) -> None:
        """Buffer a tag."""
        self._log(run_id, tags=[tag])

    def log_batch(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> None:
        """Buffer many."""
        self._log(run_id, metrics, params, tags)

    def log_batch_async(
        self, run_id: str, metrics: Sequence[Metric], params: Sequence[Param], tags: Sequence[RunTag]
    ) -> RunOperations:
        """Buffer many: nobody waits for the store anyway, and MLflow's threads would only take time."""
        self._log(run_id, metrics, params, tags)
        return RunOperations([])

    def _log(
        self,
        run_id: str,
        metrics: Sequence[Metric] = (),
        params: Sequence[Param] = (),
        tags: Sequence[RunTag] = (),
    ) -> None:
        # The store checks this too, but after the objective has gone on.
        line = self.line
        for metric in metrics:
            _validate_metric(metric.key, metric.value, metric.timestamp, metric.step)
        params = [versions.checked_param(each.key, each.value) for each in params]
        tags = [versions.checked_tag(each.key, each.value) for each in tags]
        with self._lock:
            known = self._params.setdefault(run_id, {})
            new = dict(known)
            for param in params:
                if new.setdefault(param.key, param.value) != param.value:
                    raise MlflowException(
                        f"Changing param values is not allowed. Param with key='{param.key}' was already"
                        f" logged with value='{new[param.key]}' for run ID='{run_id}'. Attempted logging new"
                        f" value '{param.value}'.",
                        INVALID_PARAMETER_VALUE,
                    )
            params = [each for each in params if each.key not in known]
            self._params[run_id] = new
            if self._run is not None and run_id == self._run.info.run_id:
                params = [each for each in params if is_new(self._given, each.key, each.value)]
                self._unchanged = False
        if line is not self._line:
            raise MlflowException("the trial has ended")
        try:
            self._buffer.add(
                run_id,
                [each.to_proto().SerializeToString() for each in metrics],
                [(each.key, each.value) for each in params],
                [(each.key, each.value) for each in tags],
            )
        except FAILURES as error:
            raise as_mlflow_says(error) from error

    def flush(self) -> None:
        """Send what is buffered, and wait until it is written."""
        if self._line is not None:
            self._line.refuse_children()
        try:
            self._buffer.flush()
        except FAILURES as error:
            raise as_mlflow_says(error) from error

    def _send(self, batch: bytes) -> None:
        self.line.ask_for_bytes("LogBatch", batch)

    # Everything else.

    def _call_endpoint(
        self,
        api: Any,
        json_body: str | None = None,
        endpoint: str | None = None,
        *_: Any,
        response_proto: Any = None,
        **__: Any,
    ) -> Any:
        name = api.__name__
        if name not in relay_protocol.CALLS:
            raise not_relayed(name)
        message = api()
        if json_body:
            parse_dict(json.loads(json_body), message)
        if endpoint is not None and (found := _MODEL_PATH.search(endpoint)):
            message.model_id = found[1]
            if found[2] is not None:
                message.tag_key = found[2]
        self.flush()
        if name not in _READS:
            self._unchanged = False
        response = response_proto or api.Response()
        response.ParseFromString(self.line.ask_for_bytes(name, message.SerializeToString()))
        if name == "LogOutputs":
            self._has_new_outputs = True
            self._outputs.clear()
        return response

    @property
    def supports_workspaces(self) -> bool:
        """No: a trial has its experiment."""
        return False

    def _no_host(self) -> NoReturn:
        raise not_relayed("this")


def as_mlflow_says(error: Exception) -> MlflowException:
    """Returns the error of MLflow's for one of :data:`FAILURES`."""
    if isinstance(error, RelayError):
        return MlflowException(error.message, _code(error.code))
    return MlflowException(f"MLflow cannot be reached: {error}", INTERNAL_ERROR)


def _code(name: str) -> int:
    try:
        return int(ErrorCode.Value(name))
    except ValueError:
        return int(INTERNAL_ERROR)


def not_relayed(what: str) -> MlflowException:
    """Returns the error for something that a trial cannot have."""
    return MlflowException(
        f"inside a trial MLflow takes what belongs to the trial's run: {what} is not passed on to the"
        " tracking store. Do it on the driver, before or after fmin.",
        PERMISSION_DENIED,
    )


def _another_experiment(which: str) -> MlflowException:
    return MlflowException(
        f"a trial logs to the experiment of its search, and knows no experiment {which}. Set the experiment"
        " on the driver, before fmin.",
        PERMISSION_DENIED,
    )
