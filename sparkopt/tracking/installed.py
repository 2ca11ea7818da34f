"""Check of whether MLflow is there to track with; it loads no MLflow."""

from __future__ import annotations

import importlib.util
import sys
from typing import Final

from sparkopt.errors import TrackingError

_REMEDY: Final = (
    "Install MLflow into it (pip install mlflow, or mlflow-skinny for a tracking server elsewhere), or search"
    " without tracking: SparkTrials(tracking=False), or spark.databricks.mlflow.trackHyperopt.enabled=false"
)


def is_installed() -> bool:
    """Returns whether this Python has MLflow, or mlflow-skinny."""
    if "mlflow" in sys.modules:
        return sys.modules["mlflow"] is not None
    spec = importlib.util.find_spec("mlflow")
    return spec is not None and spec.origin is not None  # a directory of that name is no package


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
