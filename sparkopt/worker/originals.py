"""Builtins, functions and hooks of the standard library that a trial may replace; they are put back after it.

The evaluator has bound most of what it calls before the objective is loaded. What it calls in turn looks its
names up when it runs (``len``, ``open``, ``os.write``), and so does the next trial.
"""

from __future__ import annotations

import builtins
import json
import os
import pickle
import random
import signal
import struct
import sys
import tempfile
import threading
import time
import traceback
import warnings
from collections.abc import Callable
from operator import itemgetter
from typing import Any, Final

_OTHERS: Final = frozenset({"_", "copyright", "credits", "exit", "help", "license", "quit"})
"""Names in builtins that are for people at a prompt."""

_WATCHED: Final = (
    (builtins, [name for name in vars(builtins) if name not in _OTHERS]),
    (json, ["dump", "dumps", "load", "loads"]),
    (json.JSONDecoder, ["decode", "raw_decode"]),
    (json.JSONEncoder, ["default", "encode", "iterencode"]),
    (os, ["_exit", "chdir", "close", "dup2", "fdopen", "getcwd", "getpid", "kill", "open", "read"]),
    (os, ["umask", "unlink", "urandom", "write"]),
    (pickle, ["Pickler", "Unpickler", "dump", "dumps", "load", "loads"]),
    (random, ["random", "seed"]),
    (signal, ["pthread_sigmask", "setitimer", "signal"]),
    (struct, ["Struct", "pack", "unpack"]),
    (sys, ["argv", "exc_info", "excepthook", "exit", "meta_path", "modules", "path", "path_hooks", "stdin"]),
    (sys, ["breakpointhook", "displayhook", "unraisablehook"]),
    (tempfile, ["mkstemp", "tempdir"]),
    (threading, ["excepthook", "_profile_hook", "_trace_hook"]),
    (time, ["monotonic", "perf_counter", "time"]),
    (traceback, ["format_exception"]),
    (warnings, ["showwarning", "warn"]),
)

_TELLING: Final = frozenset(
    [
        *("__build_class__", "__import__", "all", "any", "bool", "bytearray", "bytes", "callable", "dict"),
        *("enumerate", "float", "frozenset", "getattr", "hasattr", "hash", "id", "int", "isinstance"),
        *("issubclass", "iter", "len", "list", "map", "max", "min", "next", "object", "open", "print"),
        *("property", "range", "repr", "reversed", "set", "setattr", "sorted", "staticmethod", "str", "sum"),
        *("super", "tuple", "type", "vars", "zip"),
    ]
)
"""Names in builtins that are compared after each trial. If one was replaced, all of builtins is put back. The
others, exceptions most of all, would have to be fetched from memory for nothing but this."""

_set, _Error = setattr, BaseException
# Bound here, as this must work whatever builtins hold.


class Originals:
    """Values of the watched names at the time of construction."""

    def __init__(self) -> None:
        self._watched: list[tuple[Any, Callable[[Any], tuple[Any, ...]], tuple[Any, ...]]] = []
        self._places: list[tuple[Any, list[tuple[str, Any]]]] = []
        for place, wanted in _WATCHED:
            namespace = vars(place)
            names = [name for name in wanted if name in namespace]
            self._places.append((place, [(name, namespace[name]) for name in names]))
            telling = [name for name in names if place is not builtins or name in _TELLING]
            # Two at least, or a getter would not return a tuple.
            get: Callable[[Any], tuple[Any, ...]] = itemgetter(*telling, "__doc__")
            self._watched.append((namespace, get, get(namespace)))

    def put_back(self) -> None:
        """Undo what was replaced or deleted since."""
        for namespace, get, originals in self._watched:
            try:
                if get(namespace) == originals:
                    continue
            except _Error:  # a name was deleted, or what took its place cannot be compared
                pass
            self._put_all_back()
            return

    def _put_all_back(self) -> None:
        for place, originals in self._places:
            for name, original in originals:
                _set(place, name, original)
