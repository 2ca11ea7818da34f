"""Evaluating from outside: a coordinator with its control service and real workers, or a pool on Spark."""

from __future__ import annotations

import cloudpickle

from tests.control.evaluation import evaluated

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(evaluated)
