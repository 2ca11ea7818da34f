"""Functions of MLflow's module that few_calls.py stands for, as long as MLflow is not loaded.

They are called like MLflow's. What one does not do itself it has MLflow do, which is loaded for that.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any, Final

from sparkopt.tracking.trial.few_calls import FAILURES, FewCalls, pairs

_now: FewCalls | None = None
"""Those of the trial that runs, if MLflow is not loaded."""


def begin(few_calls: FewCalls) -> None:
    """A trial begins, in a process in which MLflow is not loaded."""
    global _now
    _now = few_calls


def end() -> FewCalls | None:
    """The trial has ended, or MLflow does it all from now on.

    Returns:
        What has done the trial's calls until now.
    """
    global _now
    few_calls, _now = _now, None
    return few_calls


def of_mlflow(name: str) -> Callable[..., Any] | None:
    """Returns the function by a name, if a trial runs and there is one."""
    return None if _now is None else _FUNCTIONS.get(name)


def log_metric(key: Any, value: Any, step: Any = None, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.log_metrics([(key, value)], step)):
        return None
    return _mlflows("log_metric")(key, value, step, *args, **kwargs)


def log_metrics(metrics: Any, step: Any = None, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.log_metrics(pairs(metrics), step)):
        return None
    return _mlflows("log_metrics")(metrics, step, *args, **kwargs)


def log_param(key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.log_params([(key, value)])):
        return value
    return _mlflows("log_param")(key, value, *args, **kwargs)


def log_params(params: Any, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.log_params(pairs(params))):
        return None
    return _mlflows("log_params")(params, *args, **kwargs)


def set_tag(key: Any, value: Any, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.set_tags([(key, value)])):
        return None
    return _mlflows("set_tag")(key, value, *args, **kwargs)


def set_tags(tags: Any, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.set_tags(pairs(tags))):
        return None
    return _mlflows("set_tags")(tags, *args, **kwargs)


def log_text(text: Any, artifact_file: Any, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.log_text(text, artifact_file)):
        return None
    return _mlflows("log_text")(text, artifact_file, *args, **kwargs)


def log_artifact(local_path: Any, artifact_path: Any = None, *args: Any, **kwargs: Any) -> Any:
    """See MLflow's."""
    if not args and not kwargs and _is_done(lambda few: few.log_artifact(local_path, artifact_path)):
        return None
    return _mlflows("log_artifact")(local_path, artifact_path, *args, **kwargs)


_FUNCTIONS: Final[Mapping[str, Callable[..., Any]]] = {
    function.__name__: function
    for function in (
        log_metric,
        log_metrics,
        log_param,
        log_params,
        set_tag,
        set_tags,
        log_text,
        log_artifact,
    )
}


def _is_done(log: Callable[[FewCalls], bool]) -> bool:
    few_calls = _now
    if few_calls is None:
        return False
    try:
        return log(few_calls)
    except FAILURES as error:
        from sparkopt.tracking.trial.relay_store import as_mlflow_says

        raise as_mlflow_says(error) from error


def _mlflows(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(importlib.import_module("mlflow.tracking.fluent"), name)
    return found
