"""MLflow in an evaluator's process: set up for each trial, and cleaned up after it.

    begin()   tracking URI, registries ──▶ RelayStore, RelayArtifactRepository
              every thread's stack of active runs begins with the trial's run
    end()     nested runs that are open are ended, what is buffered is sent, all of that is undone

MLflow keeps what is active in globals and makes its stores from addresses, so that this has to reach into its
modules. Autologging, which is a process's, stays on.
"""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Any, Final

import mlflow
from mlflow.entities import RunData, RunInfo, RunInputs
from mlflow.environment_variables import (
    MLFLOW_EXPERIMENT_ID,
    MLFLOW_EXPERIMENT_NAME,
    MLFLOW_RUN_ID,
    MLFLOW_TRACKING_URI,
)
from mlflow.store.artifact import artifact_repository_registry
from mlflow.tracking import fluent
from mlflow.tracking._model_registry import utils as registry_utils
from mlflow.tracking._tracking_service import utils as tracking_utils

from sparkopt.tracking import versions
from sparkopt.tracking.relay_protocol import SCHEME
from sparkopt.tracking.trial import plugins
from sparkopt.tracking.trial.artifacts import RelayArtifactRepository
from sparkopt.tracking.trial.few_calls import FewCalls
from sparkopt.tracking.trial.left_out import tell
from sparkopt.tracking.trial.relay_store import THE_EXPERIMENT, Line, RelayStore, not_relayed
from sparkopt.worker.reports import Reporter

if TYPE_CHECKING:
    from mlflow.entities import RunOutputs

TRACKING_URI: Final = f"{SCHEME}:"

_MOST_NESTED: Final = 100
_SPANS: Final = ("start_span", "start_span_no_context")


class TrialRun(mlflow.ActiveRun):
    """The trial's run, active. The driver is asked for it when somebody looks at it."""

    def __init__(self, store: RelayStore) -> None:
        self._store = store
        self._inputs_since: RunInputs | None = None

    @property
    def info(self) -> RunInfo:
        """The run's ids, name and times."""
        return self._store.trial_run.info

    @property
    def data(self) -> RunData:
        """Its parameters and tags when the trial began."""
        return self._store.trial_run.data

    @property
    def inputs(self) -> RunInputs | None:
        """Its datasets and models then, and what has been logged here since."""
        return self._inputs

    @property
    def _inputs(self) -> RunInputs | None:
        """The attribute in which MLflow 3 notes the models that a metric was logged for."""
        since = self._inputs_since
        return self._store.trial_run.inputs if since is None else since

    @_inputs.setter
    def _inputs(self, inputs: RunInputs | None) -> None:
        self._inputs_since = inputs

    @property
    def outputs(self) -> RunOutputs | None:
        """Its models; None where MLflow has no such outputs."""
        return getattr(self, "_outputs", None) or getattr(self._store.trial_run, "outputs", None)


class MlflowSession:
    """MLflow in this process. Made once, when MLflow has been imported."""

    def __init__(self) -> None:
        self._store = RelayStore()
        self._running = False
        self._active = versions.ActiveRuns()
        tracking_utils._tracking_store_registry.register(SCHEME, lambda **_: self._store)
        artifact_repository_registry._artifact_repository_registry.register(SCHEME, self._repository)
        versions.spare_reads(self._store.outputs_of, self._is_inside)
        self._let_runs_be_entered_again()
        for name in _SPANS:
            self._refuse_span(name)

    def _repository(self, uri: str, *args: Any, **kwargs: Any) -> RelayArtifactRepository:
        return RelayArtifactRepository(uri, lambda: self._store.line, *args, **kwargs)

    def _let_runs_be_entered_again(self) -> None:
        """Have ``start_run()`` without a run of its own enter the trial's, as it did with MLFLOW_RUN_ID."""
        original = fluent.start_run
        signature = inspect.signature(original)

        @functools.wraps(original)
        def start_run(*args: Any, **kwargs: Any) -> Any:
            asked = signature.bind(*args, **kwargs).arguments
            if self._enters_the_trials_run(asked):
                asked.pop("experiment_id", None)
                return original(**{**asked, "run_id": self._store.trial_run.info.run_id, "nested": True})
            return original(*args, **kwargs)

        fluent.start_run = mlflow.start_run = start_run

    def _is_inside(self) -> bool:
        """Returns whether a trial runs, and its objective has not turned to a store of its own."""
        return self._running and mlflow.get_tracking_uri() == TRACKING_URI

    def _enters_the_trials_run(self, asked: dict[str, Any]) -> bool:
        if not self._is_inside() or asked.get("nested") or asked.get("parent_run_id"):
            return False
        ours = self._store.trial_run.info.run_id
        if asked.get("run_id") not in (None, ours):
            return False
        stack = versions.active_runs()
        return not stack or (len(stack) == 1 and stack[0].info.run_id == ours)

    def _refuse_span(self, name: str) -> None:
        """Have traces fail inside a trial: MLflow would send them from a thread, and log that it cannot."""
        original = getattr(versions.TRACING, name, None)
        if original is None:  # older versions of MLflow do not have all
            return

        @functools.wraps(original)
        def start(*args: Any, **kwargs: Any) -> Any:
            if self._is_inside():
                raise not_relayed("a trace")
            return original(*args, **kwargs)

        setattr(versions.TRACING, name, start)
        setattr(mlflow, name, start)

    def begin(self, reporter: Reporter, earlier: FewCalls | None = None) -> None:
        """A trial begins: MLflow's calls land in its run from now on.

        Args:
            reporter: the trial's.
            earlier: what it has logged before MLflow was loaded.
        """
        self._store.begin(Line(reporter), earlier)
        mlflow.set_tracking_uri(TRACKING_URI)
        # What starts a trace in another way makes none. It goes behind the URI, which switches tracing on.
        versions.switch_tracing_off()
        registry_utils._get_store_registry().register(SCHEME, plugins.model_registry_store)
        for variable in (MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_NAME):
            variable.unset()
        MLFLOW_EXPERIMENT_ID.set(THE_EXPERIMENT)
        versions.silence_addresses(RelayStore)
        versions.forget_repositories()
        self._active.begin_with(lambda: TrialRun(self._store))
        self._running = True

    def end(self, status: str) -> None:
        """The trial's objective has returned or raised: send everything, and forget the trial.

        Args:
            status: of the runs that it has left active: FINISHED, FAILED, or KILLED if it was stopped early.

        Raises:
            Exception: what could not be logged.
        """
        try:
            # The objective may have set another, and what is left to be done is this one's.
            mlflow.set_tracking_uri(TRACKING_URI)
            self._end_runs(status)
            self._store.flush()
        finally:
            self._running = False
            self._store.end()
            self._active.clear()
            versions.forget_repositories()
            tracking_utils._tracking_uri = None
            for variable in (MLFLOW_RUN_ID, MLFLOW_EXPERIMENT_ID, MLFLOW_TRACKING_URI):
                variable.unset()

    def _end_runs(self, status: str) -> None:
        if not self._store.asked:
            return
        for _ in range(_MOST_NESTED):
            if fluent.active_run() is None:
                return
            try:
                fluent.end_run(status)
            except Exception as error:  # noqa: BLE001 - the others have to be ended as well
                tell(error)
