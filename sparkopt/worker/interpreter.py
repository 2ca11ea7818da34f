"""Settings of the interpreter and of its libraries that a trial may change, and that are put back after it.

    numbers      recursion limit, switch interval, stack size of threads, digits of int, timeout of sockets
    tools        garbage collection, tracing, profiling, the fault handler's timer, the wake-up descriptor
    text         locale, time zone, sys.argv, sys.tracebacklimit
    imports      sys.path, sys.meta_path, sys.path_hooks
    libraries    decimal's context, numpy's error state, warnings that raise, logging.disable,
                 multiprocessing's start method, asyncio's policy

What the import of a module has added stays, as the module stays: other filters for warnings, directories in
``sys.path``, finders, handlers of logging. A context variable's value ends with the trial by itself, as the
objective runs in a copy of the context.
"""

from __future__ import annotations

import _locale
import faulthandler
import gc
import logging
import signal
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable
from contextvars import copy_context
from typing import Any, Final, TypeAlias

_Setting: TypeAlias = "tuple[str, Callable[[], Any], Callable[[Any], Any]]"

_NUMPY_DEFAULTS: Final = {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"}

_SETTINGS: Final[list[_Setting]] = [
    ("trace function", sys.gettrace, sys.settrace),  # first: it would be called while the others are set
    ("profile function", sys.getprofile, sys.setprofile),
    ("recursion limit", sys.getrecursionlimit, sys.setrecursionlimit),
    ("switch interval", sys.getswitchinterval, sys.setswitchinterval),
    ("stack size of threads", threading.stack_size, threading.stack_size),
    ("garbage collection", gc.isenabled, lambda enabled: gc.enable() if enabled else gc.disable()),
    ("thresholds of garbage collection", gc.get_threshold, lambda threshold: gc.set_threshold(*threshold)),
    ("debug flags of garbage collection", gc.get_debug, gc.set_debug),
    ("default timeout of sockets", socket.getdefaulttimeout, socket.setdefaulttimeout),
    (
        "locale",
        lambda: _locale.setlocale(_locale.LC_ALL),
        lambda value: _locale.setlocale(_locale.LC_ALL, value),
    ),
]
if hasattr(sys, "get_int_max_str_digits"):  # not in the first releases of Python 3.10
    _SETTINGS.append(("digits of int", sys.get_int_max_str_digits, sys.set_int_max_str_digits))


class Interpreter:
    """The settings when this is made."""

    def __init__(self) -> None:
        self._looks = [look for _, look, _ in _SETTINGS]
        self._found = [look() for look in self._looks]
        self._frozen = gc.get_freeze_count() > 0
        self._imports = [(place, list(place)) for place in (sys.path, sys.meta_path, sys.path_hooks)]
        self._arguments = list(sys.argv)
        self._traceback_limit = getattr(sys, "tracebacklimit", None)
        self._filters = list(warnings.filters)
        self._disabled_logging = logging.root.manager.disable
        self._time_zone = (time.tzname, time.timezone, time.altzone)
        self._decimal = _decimal_context()
        self._numpy = sys.modules.get("numpy")
        self._numpy_errors = _numpy_errors()
        self._start_method = _start_method()
        self._loop_policy = _loop_policy()

    def put_back(self) -> list[str]:
        """Undo what was changed since, after the environment, and return what could not be undone."""
        kept: list[str] = []
        if [look() for look in self._looks] != self._found:
            kept += self._put_settings_back()
        # Counting takes 3 ms where all objects of a process are frozen: no process of ours begins like that.
        if not self._frozen and gc.get_freeze_count():
            gc.unfreeze()
        faulthandler.cancel_dump_traceback_later()
        signal.set_wakeup_fd(-1)
        for place, found in self._imports:
            if place != found:
                _put_lost_back(place, found)
        if sys.argv != self._arguments:
            sys.argv[:] = self._arguments
        if getattr(sys, "tracebacklimit", None) != self._traceback_limit:
            self._put_traceback_limit_back()
        if warnings.filters != self._filters:
            self._put_filters_back()
        if logging.root.manager.disable != self._disabled_logging:
            logging.disable(self._disabled_logging)
        if (time.tzname, time.timezone, time.altzone) != self._time_zone:
            time.tzset()
        self._put_libraries_back()
        return kept

    def _put_settings_back(self) -> list[str]:
        kept = []
        for (name, look, put), found in zip(_SETTINGS, self._found, strict=True):
            try:
                if look() != found:
                    put(found)
            except Exception:  # noqa: BLE001 - it stays as it is, and the evaluator ends
                kept.append(f"its {name}")
        return kept

    def _put_traceback_limit_back(self) -> None:
        if self._traceback_limit is None:
            del sys.tracebacklimit
        else:
            sys.tracebacklimit = self._traceback_limit

    def _put_filters_back(self) -> None:
        lost = [each for each in self._filters if each not in warnings.filters]
        found = [each for each in warnings.filters if each[0] != "error" or each in self._filters]
        with warnings.catch_warnings():  # leaving the block makes Python forget its cache of the filters
            pass
        warnings.filters[:] = [*found, *lost]  # type: ignore[index]
        self._filters = list(warnings.filters)

    def _put_libraries_back(self) -> None:
        if self._decimal is not None:
            sys.modules["decimal"].setcontext(self._decimal.copy())
        if self._numpy_errors is not None or sys.modules.get("numpy") is not self._numpy:
            self._put_numpy_back()
        if _start_method() != self._start_method:
            sys.modules["multiprocessing"].set_start_method(self._start_method, force=True)
        if _loop_policy() is not self._loop_policy:
            sys.modules["asyncio.events"]._event_loop_policy = self._loop_policy  # type: ignore[attr-defined]

    def _put_numpy_back(self) -> None:
        if _numpy_errors() is not None:
            sys.modules["numpy"].seterr(**(self._numpy_errors or _NUMPY_DEFAULTS))


def _put_lost_back(place: list[Any], found: list[Any]) -> None:
    """Put back what was taken out of a list since it was found, and remember what was added."""
    if any(each not in place for each in found):
        place[:] = [*(each for each in place if each not in found), *found]
    found[:] = place


def _decimal_context() -> Any:
    """A copy of decimal's context; None if there is none here, so that each trial makes one of its own."""
    decimal = sys.modules.get("decimal")
    if decimal is None or not any(variable.name == "decimal_context" for variable in copy_context()):
        return None
    return decimal.getcontext().copy()


def _numpy_errors() -> dict[str, str] | None:
    """The error state of numpy 1, which is a thread's; that of numpy 2 is the context's, and ends with it."""
    numpy = sys.modules.get("numpy")
    if numpy is None or not getattr(numpy, "__version__", "").startswith("1."):
        return None
    errors: dict[str, str] = numpy.geterr()
    return errors


def _start_method() -> str | None:
    multiprocessing = sys.modules.get("multiprocessing")
    return None if multiprocessing is None else multiprocessing.get_start_method(allow_none=True)


def _loop_policy() -> Any:
    return getattr(sys.modules.get("asyncio.events"), "_event_loop_policy", None)
