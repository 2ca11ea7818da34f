"""Messages for a module that a worker lacks, and the driver's reading of them.

    worker   ModuleNotFoundError ──▶ lacking() before the traceback
    driver   the trial's error ──▶ missing() ──▶ MissingModuleError, with which the search ends

Most such errors would occur in every trial. So the first one ends the search if the objective could not
be loaded, or if the driver has the module and no trial has had a result.
"""

from __future__ import annotations

import importlib.util
import re
import socket
import sys
from collections.abc import Mapping
from typing import Final

from sparkopt.errors import MissingModuleError, RemoteTraceback

NOT_LOADED: Final = "the objective cannot be loaded on this worker"
_LACKED: Final = "this worker lacks a module"
_KINDS: Final = ("ModuleNotFoundError", "<class 'ModuleNotFoundError'>")
_NAMED: Final = re.compile(r"No module named '([\w.]+)'")


def lacking(name: str | None, withheld: Mapping[str, str], loading: str = "") -> str:
    """Say which module a worker lacks, where, and how to send it.

    Args:
        name: the module's, as the error has it.
        withheld: why some modules did not come with the objective.
        loading: the error's text, if it is the objective that could not be loaded.
    """
    begin = f"{NOT_LOADED}: {loading}" if loading else f"{_LACKED}: {name}"
    top = (name or "").partition(".")[0]
    place = f"{sys.executable} on {socket.gethostname()} does not find it"
    if why := withheld.get(top):
        return f"{begin}. {place}, and {top} was not sent: {why}"
    named = f"ship_modules=[{top!r}]" if top else "ship_modules=[...]"
    return (
        f"{begin}. {place}. If it is a module of yours, {named} of SparkTrials or open_evaluation sends it;"
        " so does addPyFile of the SparkContext (with Spark Connect, spark.addArtifacts(..., pyfile=True))."
        " If it is a package that is installed on the driver, install it on the executors too, or send them"
        " this environment as `sparkopt pack` says"
    )


def missing(kind: str, text: str, has_results: bool) -> MissingModuleError | None:
    """Return the error to end a search with, if a trial failed for a module that workers lack.

    Args:
        kind: the type of the trial's error, by its name or as Python writes a class.
        text: what the worker said: its advice, and the traceback.
        has_results: whether a trial has had a result.
    """
    if kind not in _KINDS:
        return None
    advice = text.partition("\n\n")[0]
    names = _NAMED.findall(text)
    if not names or (not advice.startswith(NOT_LOADED) and (has_results or not _is_here(names[-1]))):
        return None
    error = MissingModuleError(f"{advice}. Every other trial would fail alike, so none is tried")
    error.__cause__ = RemoteTraceback(text)
    return error


def _is_here(name: str) -> bool:
    top = name.partition(".")[0]
    try:
        return top in sys.modules or importlib.util.find_spec(top) is not None
    except Exception:  # noqa: BLE001 - a finder may be anybody's
        return False
