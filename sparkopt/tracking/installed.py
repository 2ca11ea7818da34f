"""Check of whether a study is to be tracked, and whether MLflow is there to do so; it loads no MLflow."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable
from typing import Final

from sparkopt.errors import TrackingError, TrackingWarning, warn

SETTING: Final = "spark.databricks.mlflow.trackHyperopt.enabled"
"""The Spark setting that turns tracking off, when it is ``false``."""

_REMEDY: Final = (
    "Install MLflow into it (pip install mlflow, or mlflow-skinny for a tracking server elsewhere), or search"
    f" without tracking: tracking=False, or {SETTING}=false"
)


def wants_tracking(asked: object, setting: Callable[[], str]) -> bool:
    """Returns whether a study is tracked: as asked, or as the Spark setting says, or else if MLflow is there.

    Args:
        asked: what a front end was told; None for nothing.
        setting: returns the value of :data:`SETTING`, empty if there is none.

    Raises:
        TrackingError: if somebody asks for it and there is no MLflow.
    """
    said = "" if asked is not None else setting().strip()
    if asked is False or said.lower() == "false":
        return False
    if is_installed():
        return True
    if asked or said:
        raise missing("tracking=True" if asked else f"{SETTING}={said}")
    warn(untracked(), TrackingWarning)
    return False


def is_installed() -> bool:
    """Returns whether this Python has MLflow, or mlflow-skinny."""
    if "mlflow" in sys.modules:
        return sys.modules["mlflow"] is not None
    spec = importlib.util.find_spec("mlflow")
    return spec is not None and spec.origin is not None  # a directory of that name is not a package


def missing(asked_by: str) -> TrackingError:
    """The error for a search that is to be tracked where there is no MLflow.

    Args:
        asked_by: the argument or setting that asks for tracking.
    """
    return TrackingError(f"{asked_by} asks for tracking, and {sys.executable} has no MLflow. {_REMEDY}")


def untracked() -> str:
    """The warning for a search that nobody has asked to track, where there is no MLflow."""
    return f"this search is not tracked: {sys.executable} has no MLflow. {_REMEDY}"


def unusable(error: ImportError) -> TrackingError:
    """The error for an MLflow that cannot be imported, or is too old."""
    return TrackingError(
        f"MLflow in {sys.executable} cannot be used for tracking ({type(error).__name__}: {error}). sparkopt"
        f" tracks with MLflow 2.9 and later. {_REMEDY}"
    )
