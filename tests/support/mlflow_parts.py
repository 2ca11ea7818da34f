"""Parts of MLflow that are installed here, and the marks of tests that need one, each with its reason.

``mlflow-skinny`` has no databases, server or pictures, and an environment may have no MLflow at all. A test
says what it needs by a mark or a fixture. This module loads no MLflow; tests/tracking/versions.py has what
versions differ in.

    MLFLOW_SERVER_PYTHON    an interpreter with the MLflow that is the server of tests over http
"""

from __future__ import annotations

import os
from importlib.util import find_spec

import pytest

from sparkopt.tracking.installed import is_installed

INSTALLED = is_installed()
SERVER_PYTHON = os.environ.get("MLFLOW_SERVER_PYTHON", "")

HAS_DATABASES = INSTALLED and find_spec("sqlalchemy") is not None and find_spec("alembic") is not None
HAS_SERVER = bool(SERVER_PYTHON) or (HAS_DATABASES and find_spec("flask") is not None)
HAS_PICTURES = find_spec("matplotlib") is not None
HAS_SKLEARN = find_spec("sklearn") is not None

NO_MLFLOW = "no MLflow here"
NO_DATABASES = "MLflow has no databases here: mlflow-skinny brings no SQLAlchemy"
NO_SERVER = "MLflow has no server here: mlflow-skinny brings no Flask; MLFLOW_SERVER_PYTHON may name one"

needs_databases = pytest.mark.skipif(not HAS_DATABASES, reason=NO_DATABASES)
needs_pictures = pytest.mark.skipif(not HAS_PICTURES, reason="no matplotlib here: mlflow-skinny brings none")
needs_sklearn = pytest.mark.skipif(not HAS_SKLEARN, reason="no scikit-learn here: mlflow-skinny brings none")

WARNINGS = (
    # MLflow 3.0 uses SQLAlchemy and protobuf in ways that these advise against by now.
    r"ignore:The Query.get\(\) method is considered legacy",
    r"ignore:label\(\) is deprecated:DeprecationWarning",
    # Without databases a store of files is all that there is.
    *(() if HAS_DATABASES else ("ignore:The filesystem tracking backend:FutureWarning",)),
)
"""Filters for MLflow's own warnings, which are not ours."""
