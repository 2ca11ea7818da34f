"""Watching a pool: a coordinator with its control service, or one of Spark's."""

from __future__ import annotations

import cloudpickle

from tests.support import study_tools

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(study_tools)
