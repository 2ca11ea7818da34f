"""Marks of tests that need what only some versions of MLflow have."""

from __future__ import annotations

import mlflow
import pytest

from sparkopt.tracking import versions

LOGGED_MODELS = versions.HAS_LOGGED_MODELS

needs_logged_models = pytest.mark.skipif(
    not LOGGED_MODELS, reason=f"MLflow {versions.VERSION} has no logged models: a model is files of its run"
)
needs_no_logged_models = pytest.mark.skipif(
    LOGGED_MODELS, reason=f"MLflow {versions.VERSION} has logged models, which are tested in their place"
)
needs_a_stack_for_each_thread = pytest.mark.skipif(
    isinstance(mlflow.tracking.fluent._active_run_stack, list),
    reason=f"MLflow {versions.VERSION} has one stack of active runs for all threads",
)
