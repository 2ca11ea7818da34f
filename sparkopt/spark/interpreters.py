"""Interpreters of the driver and of executors: one on a local master, elsewhere both named in errors.

Spark runs what PYSPARK_PYTHON names, or else ``python3`` of the PATH, which in a virtual environment that is
not activated is another Python than the driver's.
"""

from __future__ import annotations

import os
import platform
import re
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from pyspark.sql import SparkSession

from sparkopt.spark.connect import is_connect
from sparkopt.spark.settings import is_local

_VARIABLE: Final = "PYSPARK_PYTHON"

_DEFAULT: Final = "python3"
"""The command that Spark runs where no interpreter is named."""

_OTHER_VERSION: Final = re.compile(r"Python in worker has different version:? ([\d.]+)")
_NOT_THERE: Final = re.compile(r'Cannot run program "([^"]+)"')
_CHANGING: Final = threading.Lock()
"""Held while functions are made for another interpreter."""

_LACKS: Final = re.compile(
    r"(?:ModuleNotFoundError: No module named '(\w+)|(\w+) >= [\d.]+ must be installed)"
)


@contextmanager
def drivers_on_local_master(session: SparkSession) -> Iterator[None]:
    """Have functions that are made meanwhile run in the driver's interpreter, if the master is local.

    Whoever made the session may have named another one, which counts.
    """
    if is_connect(session) or not is_local(session):
        yield
        return
    context: Any = session.sparkContext
    if context.pythonExec != _DEFAULT or os.environ.get(_VARIABLE) == _DEFAULT:
        # It was named. The variable alone does not say so: Spark reads it when the session is made.
        yield
        return
    with _CHANGING:  # gangs are launched from threads of their own
        before = context.pythonExec
        context.pythonExec = sys.executable
        try:
            yield
        finally:
            context.pythonExec = before


def explain(session: SparkSession, text: str) -> str:
    """Describe the executors' interpreter, by Spark's error, if it is why workers cannot run there.

    Returns:
        Both interpreters, and what to do; nothing if the interpreter is not why.
    """
    if found := _OTHER_VERSION.search(text):
        what = f"is version {found[1]}, and both need the same minor version"
    elif found := _NOT_THERE.search(text):
        what = f"cannot be run: there is no {found[1]!r}"
    elif found := _LACKS.search(text):
        what = f"has no {found[1] or found[2]}, or one that is too old"
    else:
        return ""
    driver = f"{sys.executable}, version {platform.python_version()}"
    return (
        f"the executors' Python ({_of_executors(session)}) {what}. The driver's is {driver}. Set"
        f" {_VARIABLE}, before the session is made, to an interpreter of that minor version which the"
        " executors have, with pyspark in it, and for Spark Connect pandas and pyarrow as well"
    )


def _of_executors(session: SparkSession) -> str:
    if is_connect(session):
        return f"the one that {_VARIABLE} names to the server, or else python3 of its PATH"
    context: Any = session.sparkContext
    named = str(context.pythonExec)
    return named if os.path.sep in named else f"{named!r} of the PATH, as {_VARIABLE} does not say another"
