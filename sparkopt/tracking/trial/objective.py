"""An objective whose MLflow calls land in its trial's run.

    TrackedObjective.run ──▶ MLflow is loaded, or will be? ──▶ MlflowSession.begin ──▶ objective ──▶ end

Loading MLflow takes seconds, so this module does not: it waits for the objective to do so, and an objective
that does not use MLflow pays nothing. One that makes few_calls.py alone does not load it either.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparkopt.tracking.trial import offered_calls
from sparkopt.tracking.trial.few_calls import FewCalls
from sparkopt.tracking.trial.left_out import tell
from sparkopt.tracking.trial.mlflow_import import load_late, when_loaded
from sparkopt.worker.intermediate_values import is_pruned
from sparkopt.worker.reports import Reporter, ReportingObjective

if TYPE_CHECKING:
    from sparkopt.tracking.trial.mlflow_session import MlflowSession

__wraps_objectives__ = True


@dataclass(frozen=True)
class TrackedObjective(ReportingObjective):
    """An objective whose MLflow calls land in its trial's run.

    Attributes:
        fn: the objective: a function of the argument, or one that is called with a reporter.
    """

    fn: Callable[[Any], Any] | ReportingObjective

    def run(self, argument: Any, reporter: Reporter) -> Any:
        """Evaluate the argument. Everything that it has logged is on the driver when this returns."""
        with process().trial(reporter):
            if isinstance(self.fn, ReportingObjective):
                return self.fn.run(argument, reporter)
            return self.fn(argument)

    def __reduce__(self) -> tuple[Any, ...]:
        # In this order: what the objective has imported from MLflow has to be what a trial is to find there.
        return _loaded, (_Preparation(), self.fn)


class _Preparation:
    """Unpickles to nothing, and has the process watch for MLflow by then."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _prepare, ()


def _prepare() -> None:
    process().watch()


def _loaded(_: None, fn: Callable[[Any], Any] | ReportingObjective) -> TrackedObjective:
    return TrackedObjective(fn)


@functools.cache
def process() -> Process:
    """Returns MLflow's part of this process: as MLflow's own state, it is a process's."""
    return Process()


class Process:
    """Knows whether MLflow is loaded, and which trial runs."""

    def __init__(self) -> None:
        self._watching = False
        self._session: MlflowSession | None = None
        self._reporter: Reporter | None = None

    def watch(self) -> None:
        """Take MLflow as it is loaded, or has been. Idempotent."""
        if self._watching:
            return
        self._watching = True
        load_late(offered_calls.of_mlflow)
        when_loaded(self._mlflow_is_here)

    @contextlib.contextmanager
    def trial(self, reporter: Reporter) -> Iterator[None]:
        """MLflow's calls land in the reporter's trial meanwhile."""
        self.watch()
        self._reporter = reporter
        if self._session is None:
            offered_calls.begin(FewCalls(reporter))
        else:
            self._session.begin(reporter)
        status = "FAILED"
        try:
            yield
            status = "FINISHED"
        except BaseException as error:
            if is_pruned(error):
                status = "KILLED"
            raise
        finally:
            self._reporter = None
            few_calls = offered_calls.end()
            # A process that the objective has forked has nothing to end: the run is its parent's.
            if not reporter.in_child:
                try:
                    if self._session is not None:
                        self._session.end(status)
                    elif few_calls is not None:
                        few_calls.buffer.flush()
                except BaseException as error:  # noqa: BLE001 - the result counts, whatever becomes of the log
                    tell(error)

    def _mlflow_is_here(self) -> None:
        from sparkopt.tracking.trial.mlflow_session import MlflowSession

        self._session = MlflowSession()
        if self._reporter is not None:
            self._session.begin(self._reporter, offered_calls.end())
