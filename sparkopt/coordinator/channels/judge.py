"""Judge: asks a study's pruner about running trials, in the coordinator's thread.

A pruner that does not return blocks that thread. So the study's thread may ask for how long a call has
lasted, and end it: by an exception that Python raises in the other thread as soon as that thread runs
Python code again.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from sparkopt.coordinator.channels.study_events import ReportedValues, Settled
from sparkopt.core.pruning.pruner import Pruner
from sparkopt.errors import PrunerError
from sparkopt.wire.arguments import check_flag

SLOW_SECONDS: Final = 5.0
"""Seconds after which a call of a pruner is one that may never return."""


class _CallEnded(BaseException):
    """Ends a call of a pruner that does not return."""


class Judge:
    """Asks a pruner about what trials report. For the coordinator's thread, unless a method says otherwise.

    Args:
        pruner: decides. It knows what an earlier run of the study has reported.
        stop: called with a trial that is to stop, and the reason.

    Attributes:
        name: of the pruner, for messages.
    """

    def __init__(self, pruner: Pruner, stop: Callable[[int, str], None]) -> None:
        self.name = type(pruner).__qualname__
        self._pruner = pruner
        self._stop = stop
        self._stopped: set[int] = set()
        self._changed = threading.Condition()
        self._call: tuple[float, int] | None = None
        """Since when the pruner's call that is under way is, and in which thread."""

    def reported(self, reported: ReportedValues) -> None:
        """A trial reports values: judge it, unless it is to stop already.

        Raises:
            PrunerError: if a verdict is neither True nor False.
            BaseException: whatever the pruner raises.
        """
        if reported.tid not in self._stopped:
            self._in_a_call(self._judge, reported)

    def _judge(self, reported: ReportedValues) -> None:
        tid = reported.tid
        for step, value in zip(reported.steps, reported.values, strict=True):
            verdict: Any = self._pruner.reported(tid, step, value)
            if verdict is False or verdict is None:
                continue
            if verdict is True or _is_true(verdict, tid):
                self._stopped.add(tid)
                self._stop(tid, f"the pruner stopped it at step {step}, with the value {value:g}")
                return

    def settled(self, settled: Settled) -> None:
        """A trial has settled.

        Raises:
            BaseException: whatever the pruner raises.
        """
        self._stopped.discard(settled.tid)
        self._in_a_call(lambda settled: self._pruner.settled(settled.tid, settled.outcome), settled)

    def _in_a_call(self, say: Callable[[Any], None], happened: object) -> None:
        self._call = time.monotonic(), threading.get_ident()
        try:
            say(happened)
        finally:
            # What was to end the call is raised in here at the latest.
            with self._changed:
                self._call = None
                self._changed.notify_all()

    def slow_for(self) -> float:
        """Seconds that a call has lasted by now, if it may never return; else 0. From any thread."""
        call = self._call
        seconds = 0.0 if call is None else time.monotonic() - call[0]
        return seconds if seconds >= SLOW_SECONDS else 0.0

    def end_call(self) -> bool:
        """End a call that may never return, once it has lasted for long enough. From any other thread.

        Returns:
            False if it goes on, as it waits in code that is not Python's.
        """
        with self._changed:
            call = self._call
            if call is None:
                return True
            since, thread = call
            left = since + SLOW_SECONDS - time.monotonic()
            if self._changed.wait_for(lambda: self._call is not call, left):
                return True
            raised = ctypes.py_object(_CallEnded)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), raised)
            return self._changed.wait_for(lambda: self._call is not call, SLOW_SECONDS)


def _is_true(verdict: object, tid: int) -> bool:
    try:
        return check_flag(f"what the pruner's reported returns (of trial {tid})", verdict)
    except TypeError as error:
        raise PrunerError(str(error)) from None
