"""An objective in a package beside the script, which executors have not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.support.projects import write_project

_FILES = {
    "__init__.py": "",
    "table.csv": "7",
    "squares.py": "def square(x):\n    return x * x\n",
    "train.py": """
import os
from pathlib import Path

def objective(x):
    from .squares import square
    table = Path(__file__).with_name("table.csv").read_text()
    return {"status": "ok", "loss": square(x), "table": table, "place": os.getcwd()}
""",
}


def objective_beside(directory: Path) -> Callable[[Any], dict[str, Any]]:
    """Write the package to a directory, which this process finds it in, and import the objective."""
    package = write_project(directory / "beside_the_script", _FILES)
    sys.path.insert(0, str(directory))
    objective: Callable[[Any], dict[str, Any]] = importlib.import_module(f"{package.name}.train").objective
    return objective
