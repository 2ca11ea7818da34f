"""Optuna, quiet, and its studies on two workers."""

from __future__ import annotations

import optuna
import pytest

from sparkopt import WorkerPool


@pytest.fixture(autouse=True)
def quiet():
    """Optuna says nothing of trials that end."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    yield
    optuna.logging.set_verbosity(before)


@pytest.fixture
def pool(spark):
    """Two workers."""
    with WorkerPool(2, spark_session=spark) as pool:
        yield pool


@pytest.fixture
def alone(spark):
    """One worker."""
    with WorkerPool(1, spark_session=spark) as pool:
        yield pool
