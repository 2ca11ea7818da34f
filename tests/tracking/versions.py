"""Marks of tests that need what only some versions of MLflow have, each with its reason."""

from __future__ import annotations

import inspect
from typing import Any

import mlflow
import pytest
from mlflow.models import Model
from mlflow.tracking._tracking_service.client import TrackingServiceClient
from mlflow.utils import validation

from sparkopt.tracking import versions

_stack: Any = mlflow.tracking.fluent._active_run_stack

HAS_LOGGED_MODELS = versions.HAS_LOGGED_MODELS
HAS_BOUNDED_NAMES = hasattr(validation, "MAX_EXPERIMENT_NAME_LENGTH")
HAS_STACKS_OF_THREADS = not isinstance(_stack, list)
HAS_IMAGES_OF_STEPS = "key" in inspect.signature(mlflow.log_image).parameters
HAS_ASYNCHRONOUS_SETTING = hasattr(mlflow, "config")

_look: Any = getattr(mlflow.tracking.fluent, "_get_model_ids_for_new_metric_if_exist", None)

FINDS_MODELS_OF_STEPS = _look is not None and (
    "run_id" in inspect.signature(_look).parameters or "._outputs" in inspect.getsource(Model.log)
)
"""Whether a metric without a model becomes one of the model that the active run has made at the same step: of
about 3.8 only once the run is active anew."""

PRINTS_ADDRESSES = hasattr(TrackingServiceClient, "_log_url")
"""Whether the address of a run on a server is printed when the run ends."""


def _needs(there: bool, lacking: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not there, reason=f"MLflow {versions.VERSION} has {lacking}")


needs_logged_models = _needs(HAS_LOGGED_MODELS, "no logged models: a model is files of its run")
needs_no_logged_models = _needs(not HAS_LOGGED_MODELS, "logged models, which are tested in their place")
needs_bounded_names = _needs(HAS_BOUNDED_NAMES, "no limit to the length of an experiment's name")
needs_stacks_of_threads = _needs(HAS_STACKS_OF_THREADS, "one stack of active runs for all threads")
needs_images_of_steps = _needs(HAS_IMAGES_OF_STEPS, "no images that are logged by step")
needs_asynchronous_setting = _needs(
    HAS_ASYNCHRONOUS_SETTING, "no setting by which all logging is asynchronous"
)
