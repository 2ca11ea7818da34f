"""Values of one metric that an objective logs, taken as its intermediate values.

    mlflow.log_metric, log_metrics, autologging ──▶ TrackingServiceClient ─┬─▶ the store, as without us
                                                                           └─▶ report, first
    the trial is to stop ──▶ TrialPruned, behind the call, in the trial's own thread

The client that all of MLflow's ways to log go through is wrapped once in a process, when MLflow is loaded. So
a value is there before a store or a queue of MLflow's has it.
"""

from __future__ import annotations

import functools
import inspect
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import mlflow
from mlflow.tracking._tracking_service.client import TrackingServiceClient

from sparkopt.errors import TrialError, TrialPruned
from sparkopt.worker.intermediate_values import report_quietly, should_prune

_STEPS: Final = 2**63
_MOST_OPEN: Final = 100


class MetricReports:
    """Reports of one trial.

    Args:
        metric: the name of the metric.
    """

    def __init__(self, metric: str) -> None:
        self._metric = metric
        self._thread = threading.get_ident()
        self._run_id: str | None = None
        self._last: int | None = None

    def take(self, run_id: str, metrics: Iterator[tuple[str, Any, int | None]]) -> None:
        """Report what is logged to a run, if it is the first that the metric was logged to."""
        for key, value, step in metrics:
            if key != self._metric or self._run_id not in (None, run_id):
                continue
            self._run_id = run_id
            number = 0 if step is None else int(step)
            if number == 0 and self._last is not None:
                number = self._last + 1  # logged without steps, which MLflow makes 0 of
            if 0 <= number < _STEPS:
                self._last = number
                # A child, and a trial whose worker goes, log on as they would without us.
                with suppress(TrialError, TypeError, ValueError):
                    report_quietly(value, number)

    def check(self) -> None:
        """Raise if the trial is to stop, and this is its own thread.

        Raises:
            TrialPruned: then.
        """
        if threading.get_ident() == self._thread and should_prune():
            raise TrialPruned(f"the trial is to stop, as of the metric {self._metric!r}")


_now: MetricReports | None = None
_installed = False


def begin(metric: str) -> None:
    """A trial begins in this thread: what it logs of this metric is reported."""
    global _now
    _install()
    _now = MetricReports(metric)


def end(*, ends_runs: bool) -> None:
    """The trial has ended.

    Args:
        ends_runs: whether to end the runs that it has left active, such as one that autologging has begun.
    """
    global _now
    _now = None
    for _ in range(_MOST_OPEN if ends_runs else 0):
        if mlflow.active_run() is None:
            return
        mlflow.end_run("KILLED")


def _install() -> None:
    global _installed
    if not _installed:
        _installed = True
        _wrap("log_metric", lambda said: iter([(said["key"], said["value"], said.get("step"))]))
        _wrap(
            "log_batch", lambda said: ((each.key, each.value, each.step) for each in said.get("metrics", ()))
        )


def _wrap(
    name: str, metrics_in: Callable[[Mapping[str, Any]], Iterator[tuple[str, Any, int | None]]]
) -> None:
    original = getattr(TrackingServiceClient, name)
    signature = inspect.signature(original)

    @functools.wraps(original)
    def log(*args: Any, **kwargs: Any) -> Any:
        reports = _now
        if reports is None:
            return original(*args, **kwargs)
        said = signature.bind(*args, **kwargs).arguments
        reports.take(str(said["run_id"]), metrics_in(said))
        logged = original(*args, **kwargs)
        reports.check()
        return logged

    setattr(TrackingServiceClient, name, log)
