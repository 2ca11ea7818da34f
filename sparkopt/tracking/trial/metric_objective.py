"""An objective whose values of one metric in MLflow are its intermediate values.

    MetricObjective.run ──▶ MLflow is loaded, or will be? ──▶ metric_reports.py ──▶ objective ──▶ end

It loads no MLflow: an objective that does not use it pays nothing. It works with a search that is tracked,
within the trial's run, and with one that is not, whose objectives log to a store of their own.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sparkopt.tracking.trial.mlflow_import import load_early, when_loaded
from sparkopt.worker.intermediate_values import is_pruned
from sparkopt.worker.reports import Reporter, ReportingObjective

__wraps_objectives__ = True


@dataclass(frozen=True)
class MetricObjective(ReportingObjective):
    """An objective that reports by what it logs.

    Attributes:
        fn: the objective: a function of the argument, or one that is called with a reporter.
        metric: the name of the metric.
        ends_runs: whether runs that are active when the trial stops early are to be ended here: nobody else
            does in a search that is not tracked.
    """

    fn: Callable[[Any], Any] | ReportingObjective
    metric: str
    ends_runs: bool

    def run(self, argument: Any, reporter: Reporter) -> Any:
        """Evaluate the argument."""
        _process.begin(self.metric)
        stopped = False
        try:
            if isinstance(self.fn, ReportingObjective):
                return self.fn.run(argument, reporter)
            return self.fn(argument)
        except BaseException as error:
            stopped = is_pruned(error)
            raise
        finally:
            _process.end(ends_runs=stopped and self.ends_runs and not reporter.in_child)


class _Process:
    """Knows whether MLflow is loaded in this process, and which metric the current trial reports by."""

    def __init__(self) -> None:
        self._watching = self._is_here = False
        self._metric: str | None = None

    def begin(self, metric: str) -> None:
        """A trial begins."""
        self._metric = metric
        load_early()  # the calls that are there without MLflow report nothing
        if self._is_here:
            self._begin()
        elif not self._watching:
            self._watching = True
            when_loaded(self._loaded)

    def end(self, *, ends_runs: bool) -> None:
        """The trial has ended."""
        self._metric = None
        if self._is_here:
            from sparkopt.tracking.trial import metric_reports

            try:
                metric_reports.end(ends_runs=ends_runs)
            except Exception as error:  # noqa: BLE001 - the trial has stopped, whatever becomes of its runs
                sys.stderr.write(f"MLflow: a run stays open: {type(error).__name__}: {error}\n")

    def _loaded(self) -> None:
        self._is_here = True
        if self._metric is not None:
            self._begin()

    def _begin(self) -> None:
        from sparkopt.tracking.trial import metric_reports

        assert self._metric is not None
        metric_reports.begin(self._metric)


_process = _Process()
