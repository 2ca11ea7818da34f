"""A tracking store, through the public calls of MlflowClient: records become runs."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path, PurePosixPath
from time import time as now
from typing import Any, Final, TypeAlias, TypeVar

import mlflow.entities
from mlflow import MlflowClient
from mlflow.entities import RunStatus
from mlflow.exceptions import MlflowException
from mlflow.protos.databricks_pb2 import INTERNAL_ERROR, ErrorCode
from mlflow.utils.mlflow_tags import MLFLOW_PARENT_RUN_ID
from requests.exceptions import ConnectionError as RequestsConnectionError
from requests.exceptions import HTTPError, Timeout

from sparkopt.tracking import versions
from sparkopt.tracking.reach import START_IT
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact, Metric, Record, Run

T = TypeVar("T")

_Batch: TypeAlias = "tuple[list[Any], ...]"

IDENTITY: Final = ("fmin_uuid", "study_uuid", "tid")
"""The tags that a trial's run is known by: its study's, by one name or the other, and its own."""

_PLACE: Final = (*IDENTITY, MLFLOW_PARENT_RUN_ID)
"""The tags that a trial's run cannot do without."""

_NAMES_PER_BATCH: Final = 100
"""Most parameters, or tags, that the store takes at once."""

_METRICS_PER_BATCH: Final = 800
"""Most metrics in a batch that also has 100 parameters and 100 tags: it may have 1,000 entries in all."""

_LARGEST: Final = sys.float_info.max

_INTERNAL: Final = ErrorCode.Name(INTERNAL_ERROR)

_TOO_MANY: Final = 429

_PASSING: Final = frozenset({401, 408, _TOO_MANY, 500, 502, 503, 504})
"""Status codes after which a call is tried again: 401 too, as an expired token may be renewed meanwhile."""


class Store:
    """The runs of one study in a tracking store.

    Args:
        uri: the store's.
        experiment: the id of the experiment that the runs belong to.
        main: the id of the study's run.
        runs: the ids of the trials' runs that are there already.
        artifacts: where the artifacts of the study's run are; None if the store is to be asked.

    Attributes:
        runs: the ids of the trials' runs, by trial.
        created: the trials' runs as they began, if they began in this process; the caller removes those that
            it no longer needs.
        found: how many runs were there although nobody had said that they were created.
    """

    def __init__(
        self,
        uri: str,
        experiment: str,
        main: str,
        runs: Mapping[int, str] | None = None,
        artifacts: str | None = None,
    ) -> None:
        self.uri = uri
        self.experiment = experiment
        self.main = main
        self.runs = dict(runs or {})
        self.created: dict[int, mlflow.entities.Run] = {}
        self.found = 0
        self.client = MlflowClient(tracking_uri=uri)
        self._artifacts = artifacts

    def write(self, record: Record, again: bool = False) -> None:
        """Write a record.

        Args:
            record: what to write; its run has been created.
            again: whether that has been tried before, and may have arrived.

        Raises:
            Exception: whatever the store raises; see :func:`is_passing`.
        """
        match record:
            case Create():
                self._create(record, again)
            case Log():
                self._log(record)
            case LogArtifact():
                self._put(record)
            case End():
                self._end(record)

    def write_once(self, record: Record) -> int:
        """Write a record that may have been written before, whatever became of that.

        Returns:
            How many values of metrics were there already.

        Raises:
            Exception: see :meth:`write`.
        """
        known = 0
        if isinstance(record, Log) and record.metrics and record.run not in self.created:
            new = self._unknown(record)
            known = len(record.metrics) - len(new)
            record = Log(record.run, record.params, new, record.tags)
        self.write(record, again=True)
        return known

    def _unknown(self, record: Log) -> list[Metric]:
        """The values that a run does not have: some stores would have them twice."""
        run_id = self.run_id(record.run)
        has = self.client.get_run(run_id).data.metrics
        there = {
            (key, each.step, each.timestamp, _stored(each.value))
            for key in {key for key, *_ in record.metrics} & has.keys()
            for each in self.client.get_metric_history(run_id, key)
        }
        return [
            (key, value, when, step)
            for key, value, when, step in record.metrics
            if (key, step, when, _stored(value)) not in there
        ]

    def run_id(self, run: Run) -> str:
        """The store's id of a run."""
        return self.main if run is None else self.runs[run]

    def _create(self, record: Create, again: bool) -> None:
        if record.run in self.runs:
            return
        if again and (found := self._find(record)) is not None:
            self.runs[record.run] = found
            self.found += 1
            return
        tags, late = record.tags, Log(record.run)
        try:
            created = self.client.create_run(self.experiment, record.time, tags, record.name)
        except MlflowException as error:
            if is_passing(error):
                raise
            # One of them is refused: the run is needed all the same.
            late.tags = {key: value for key, value in tags.items() if key not in _PLACE}
            tags = {key: value for key, value in tags.items() if key in _PLACE}
            created = self.client.create_run(self.experiment, record.time, tags, record.name)
        self.runs[record.run] = created.info.run_id
        self.created[record.run] = created
        if late:
            self._log(late)

    def _find(self, record: Create) -> str | None:
        """A run that was created although nobody was told."""
        known_by = " and ".join(
            f"tags.{tag} = '{record.tags[tag]}'" for tag in IDENTITY if tag in record.tags
        )
        found = self.client.search_runs([self.experiment], known_by, max_results=1)
        return str(found[0].info.run_id) if found else None

    def _log(self, record: Log) -> None:
        params = [mlflow.entities.Param(key, value) for key, value in record.params.items()]
        tags = [mlflow.entities.RunTag(key, value) for key, value in record.tags.items()]
        metrics = [mlflow.entities.Metric(*metric) for metric in record.metrics]
        run_id = self.run_id(record.run)
        batches = (
            _pieces(metrics, _METRICS_PER_BATCH),
            _pieces(params, _NAMES_PER_BATCH),
            _pieces(tags, _NAMES_PER_BATCH),
        )
        refused: list[MlflowException] = []
        while any(batch := tuple(next(pieces, []) for pieces in batches)):
            refused += self._log_batch(run_id, batch)
        if refused:
            raise refused[0]

    def _log_batch(self, run_id: str, batch: _Batch) -> list[MlflowException]:
        """Log metrics, parameters and tags, all but those that the store refuses: why it does is returned.

        A batch is refused as a whole, for a parameter that has another value already.
        """
        metrics, params, tags = batch
        try:
            self.client.log_batch(run_id, metrics, params, tags)
            return []
        except MlflowException as error:
            if is_passing(error):
                raise
        refused: list[MlflowException] = []
        for kind, items in enumerate(batch):
            for item in items:
                alone: list[list[Any]] = [[], [], []]
                alone[kind].append(item)
                try:
                    self.client.log_batch(run_id, alone[0], alone[1], alone[2])
                except MlflowException as error:
                    if is_passing(error):
                        raise
                    refused.append(error)
                    if len(refused) > 1 and refused[-1].message == refused[-2].message:
                        return (
                            refused  # it is not about them, but about their run, which somebody has deleted
                        )
        return refused

    def _put(self, record: LogArtifact) -> None:
        path = PurePosixPath(record.path)
        folder = None if path.parent == PurePosixPath() else str(path.parent)
        with tempfile.TemporaryDirectory(prefix="sparkopt-") as directory:
            file = Path(directory, path.name)
            if record.file is None:
                file.write_bytes(record.data)
            else:
                file.symlink_to(Path(record.file).resolve(strict=True))
            place = self._artifacts_of(record.run)
            versions.artifact_repository(place, self.client.tracking_uri).log_artifact(str(file), folder)

    def _artifacts_of(self, run: Run) -> str:
        """Returns the address of a run's artifacts, which is known of one that was made here.

        A store of files raises when a run is read whose metrics another thread writes.
        """
        if run is None:
            known = self._artifacts
        else:
            created = self.created.get(run)
            known = None if created is None else created.info.artifact_uri
        return known or str(self.client.get_run(self.run_id(run)).info.artifact_uri)

    def _end(self, record: End) -> None:
        end_run(self.client, self.run_id(record.run), record.status, record.time)


def _stored(value: float) -> str:
    """A metric's value as stores have it, which know no infinity."""
    return repr(max(-_LARGEST, min(_LARGEST, float(value))) if value == value else value)


def end_run(client: MlflowClient, run_id: str, status: str, time: int | None = None) -> None:
    """End a run.

    Args:
        client: of the store.
        run_id: of the run.
        status: FINISHED, FAILED or KILLED.
        time: when, in milliseconds since the epoch; None for now.
    """
    if client.tracking_uri.startswith(("http://", "https://")):
        # set_terminated would ask the server for a line and print it, for each run; update_run takes no time.
        ended = int(now() * 1000) if time is None else time
        store: Any = client._tracking_client.store
        store.update_run_info(run_id, RunStatus.from_string(status), ended, None)
    else:
        client.set_terminated(run_id, status, time)


def unwrapped(error: MlflowException) -> MlflowException:
    """The refusal of a store of files, out of the internal error that it raises in its place."""
    inner = error.__context__
    return inner if error.error_code == _INTERNAL and isinstance(inner, MlflowException) else error


def is_passing(error: Exception) -> bool:
    """Returns whether what a store raised may be over in a while, and not the fault of what was written."""
    if isinstance(error, MlflowException):
        return int(unwrapped(error).get_http_status_code()) in _PASSING
    return not isinstance(error, (TypeError, ValueError, KeyError))


def is_denied(error: Exception) -> bool:
    """Returns whether a store lets nobody in who says what this process says."""
    return isinstance(error, MlflowException) and unwrapped(error).get_http_status_code() in (401, 403)


def innermost(error: Exception) -> Exception:
    """The first of several errors of MLflow's, each raised while the one before it was handled.

    Where an environment variable names the experiment, MLflow says that there is none, whatever has happened.
    """
    while isinstance(error.__context__, MlflowException):
        error = error.__context__
    return error


def remedy_for(error: Exception) -> str:
    """Returns advice about an error that keeps a search from being tracked."""
    if is_passing(error) or is_denied(error):
        return START_IT
    if not isinstance(error, MlflowException):
        return "Fix what it says of its settings"
    return (
        "It answers: fix what it refuses, such as an experiment that has been deleted"
        " (MlflowClient().restore_experiment) or does not exist (mlflow.set_experiment)"
    )


def is_busy(error: Exception) -> bool:
    """Returns whether a store, or what holds artifacts, was surely too busy or out of reach."""
    if isinstance(error, MlflowException):
        return int(unwrapped(error).get_http_status_code()) in _PASSING - {500}
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code in _PASSING
    return isinstance(error, (ConnectionError, TimeoutError, RequestsConnectionError, Timeout))


def is_rate_limit(error: Exception) -> bool:
    """Returns whether a store wants fewer calls."""
    if isinstance(error, HTTPError):
        return error.response is not None and error.response.status_code == _TOO_MANY
    return isinstance(error, MlflowException) and unwrapped(error).get_http_status_code() == _TOO_MANY


def _pieces(items: Sequence[T], size: int) -> Iterator[list[Any]]:
    rest = iter(items)
    while piece := list(islice(rest, size)):
        yield piece
