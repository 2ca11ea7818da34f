"""Differences between the versions of MLflow that are supported, 2.9 to 3.17.

The other modules of this room are written for the newest version. Whatever an older one lacks, or has in
another place, is here, found by looking for it rather than by a number:

    colons in names                                             not in 2.9 and 2.13
    logged models, outputs of runs                              3.0 and later
    metrics that are logged without a look at their run         not in 3.0 to 3.3
    tracking URI of an artifact repository                      3.1 and later
    setting that keeps addresses of runs from being printed     3.0 and later
    stack of active runs for each thread                        a list for all threads in older versions
    tracing                                                     not in 2.9
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, Final
from urllib.parse import urlsplit

import mlflow
import mlflow.entities
from mlflow import environment_variables
from mlflow.entities import Metric, Param, RunTag
from mlflow.exceptions import MlflowException
from mlflow.store.artifact.artifact_repo import ArtifactRepository
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository
from mlflow.store.artifact.mlflow_artifacts_repo import MlflowArtifactsRepository
from mlflow.tracking import fluent
from mlflow.tracking._tracking_service import utils as tracking_utils
from mlflow.tracking._tracking_service.client import TrackingServiceClient
from mlflow.utils import validation

TRACING: ModuleType | None
"""The module with the functions that start spans, or None where MLflow has no traces."""

try:
    from mlflow.tracing import fluent as TRACING
except ImportError:
    TRACING = None

VERSION: Final = str(mlflow.__version__)

HAS_LOGGED_MODELS: Final = hasattr(mlflow.entities, "LoggedModel")
"""Returns whether models are entities beside runs, and not only artifacts of a run."""


def _takes(name: str) -> bool:
    try:
        validation._validate_metric(name, 0.0, 0, 0)
    except MlflowException:
        return False
    return True


TAKES_COLONS: Final = _takes(":")
"""Returns whether the names of metrics, parameters and tags may have colons."""

_REPOSITORIES_KNOW_STORES: Final = "tracking_uri" in inspect.signature(get_artifact_repository).parameters
_THREADS_HAVE_STACKS: Final = hasattr(fluent._active_run_stack, "get")
_SILENCE: Final = getattr(environment_variables, "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", None)

_OF_A_THREAD: Final = (
    "_active_run_stack",
    "_last_active_run_id",
    "_last_logged_model_id",
    "_ACTIVE_MODEL_CONTEXT",
)


# On the driver.


def artifact_repository(uri: str, tracking_uri: str) -> ArtifactRepository:
    """Make the repository of an address.

    Args:
        uri: of a run's or a model's artifacts.
        tracking_uri: of the store that gave the address. An address without a server means this store's
            server.
    """
    if _REPOSITORIES_KNOW_STORES:
        return get_artifact_repository(uri, tracking_uri=tracking_uri)
    if uri.startswith("mlflow-artifacts:"):
        # Such a repository would ask the current tracking URI for the server.
        uri = MlflowArtifactsRepository.resolve_uri(uri, tracking_uri)
    return get_artifact_repository(uri)


def direct_address(uri: str, tracking_uri: str) -> str:
    """Make an address of artifacts for workers, which do not know the tracking store.

    It holds no password: a worker that needs one has its own.

    Args:
        uri: of a run's or a model's artifacts.
        tracking_uri: of the store that gave the address. An address without a server means this store's
            server.
    """
    if uri.startswith("mlflow-artifacts:"):
        uri = MlflowArtifactsRepository.resolve_uri(uri, tracking_uri)
    parts = urlsplit(uri)
    if parts.scheme in ("http", "https"):
        uri = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
    return uri


def metric_of(message: Any) -> Metric:
    """Make the metric that a message describes."""
    plain = message.key, message.value, message.timestamp, message.step
    if not is_linked(message):
        return Metric(*plain)
    return Metric(
        *plain,
        model_id=message.model_id or None,
        dataset_name=message.dataset_name or None,
        dataset_digest=message.dataset_digest or None,
    )


def is_linked(message: Any) -> bool:
    """Returns whether the metric of a message belongs to a model or a dataset."""
    return HAS_LOGGED_MODELS and bool(message.model_id or message.dataset_name)


# Inside a trial.


def checked_param(key: str, value: str) -> Param:
    """Check a parameter, and return it as it is logged.

    Raises:
        MlflowException: if a store would refuse it.
    """
    return validation._validate_param(key, value) or Param(key, value)


def checked_tag(key: str, value: str) -> RunTag:
    """Check a tag, and return it as it is logged.

    Raises:
        MlflowException: if a store would refuse it.
    """
    return validation._validate_tag(key, value) or RunTag(key, value)


def active_runs() -> Sequence[Any]:
    """The runs that are active in this thread, the innermost last."""
    stack: Any = fluent._active_run_stack
    runs: Sequence[Any] = stack.get() if _THREADS_HAVE_STACKS else stack
    return runs


def leave_run() -> None:
    """Have this thread's innermost run be active no more, without a call of the store."""
    environment_variables.MLFLOW_RUN_ID.unset()
    stack: Any = active_runs()
    stack.pop()


class ActiveRuns:
    """MLflow's notes of which runs are active, and of what was active last, in all threads."""

    def __init__(self) -> None:
        self._stack: Any = fluent._active_run_stack
        self._before = self._stack.default_factory if _THREADS_HAVE_STACKS else list

    def begin_with(self, run: Callable[[], Any]) -> None:
        """Forget what was active; from now on every thread finds itself within a run.

        Args:
            run: makes the run for a thread.
        """
        self._forget()
        if _THREADS_HAVE_STACKS:
            self._stack.default_factory = lambda: [run()]
        else:
            self._stack.append(run())

    def clear(self) -> None:
        """Forget what was active; no thread is within a run any more."""
        if _THREADS_HAVE_STACKS:
            self._stack.default_factory = self._before
        self._forget()

    def _forget(self) -> None:
        for name in _OF_A_THREAD:
            variable: Any = getattr(fluent, name, None)
            if hasattr(variable, "reset"):
                variable.reset()
            elif hasattr(variable, "default_factory"):
                vars(variable).update(vars(type(variable)(variable.default_factory)))
            elif isinstance(variable, list):
                variable.clear()
            elif variable is not None:
                setattr(fluent, name, None)
        fluent._active_experiment_id = None


def spare_reads(outputs_of: Callable[[str], Sequence[Any]], applies: Callable[[], bool]) -> None:
    """Have MLflow log metrics without reading their run each time, to see which models it has.

    Args:
        outputs_of: returns the models that a run has made, by the run's id.
        applies: tells if the current store is the one that ``outputs_of`` is about.
    """
    look: Any = getattr(fluent, "_get_model_ids_for_new_metric_if_exist", None)
    if look is None or "run_id" not in inspect.signature(look).parameters:
        return
    log_inputs: Any = fluent._log_inputs_for_metrics_if_necessary

    def models_at(run_id: str, metric_step: int) -> list[str]:
        if not applies():
            found: list[str] = look(run_id, metric_step)
            return found
        return [each.model_id for each in outputs_of(run_id) if each.step == metric_step]

    def log_inputs_of(run_id: str, metrics: Sequence[Metric], datasets: Sequence[Any] | None = None) -> None:
        if datasets or any(metric.model_id for metric in metrics) or not applies():
            log_inputs(run_id, metrics, datasets)

    fluent._get_model_ids_for_new_metric_if_exist = models_at  # type: ignore[assignment]
    fluent._log_inputs_for_metrics_if_necessary = log_inputs_of  # type: ignore[assignment]


def forget_repositories() -> None:
    """Have MLflow make artifact repositories anew."""
    for place in (tracking_utils, TrackingServiceClient):
        if hasattr(place, "_artifact_repos_cache"):
            place._artifact_repos_cache.clear()


def switch_tracing_off() -> None:
    """Have MLflow make no traces in this process, however they are started."""
    if TRACING is not None:
        mlflow.tracing.disable()


def silence_addresses(store_type: type) -> None:
    """Have MLflow print no addresses of runs where the store is of this type. Idempotent.

    Args:
        store_type: class of the stores.
    """
    if _SILENCE is not None:
        _SILENCE.set(True)
        return
    original: Any = getattr(TrackingServiceClient, "_log_url", None)
    if original is None or hasattr(original, "__wrapped__"):
        return

    def log_url(self: Any, run_id: str) -> None:
        if not isinstance(self.store, store_type):
            original(self, run_id)

    log_url.__wrapped__ = original  # type: ignore[attr-defined]
    TrackingServiceClient._log_url = log_url  # type: ignore[method-assign]
