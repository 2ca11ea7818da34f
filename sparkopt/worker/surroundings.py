"""Surroundings of a trial in its process, which it may change, but must not hand on to the next trial.

    put back after each trial    here: working directory, environment, umask, signal handlers, blocked signals
                                 originals.py: functions and hooks of the standard library
                                 interpreter.py: settings of the interpreter and its libraries
                                 process_state.py: what the kernel keeps: limits, user, niceness, CPUs
    stopped after each trial     timers
    fresh before each trial      random states: every evaluator is a fork of one process, and would draw
                                 the same numbers as the others

Signals and timers come first, so that nothing of the trial's runs any more, and the rest when the answer is
on its way. What has not changed is not set again: this is done for every trial, and most change nothing. What
cannot be put back is said, and ends the evaluator.
"""

from __future__ import annotations

import os
import random
import signal
import struct
import sys

# Their namesakes in signal make enum members of each answer, which takes up to twenty times as long.
from _signal import getsignal, pthread_sigmask  # type: ignore[import-not-found]
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from sparkopt.worker.interpreter import Interpreter
from sparkopt.worker.originals import Originals
from sparkopt.worker.process_state import ProcessState

_LINUX: Final = sys.platform == "linux"
_TIMERS: Final = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
_TRIES: Final = 8
_SEED: Final = struct.Struct("8I")


class Surroundings:
    """The surroundings at the moment when this is made, to come back to.

    Main thread only: no other can set a signal handler.

    Attributes:
        functions: those of the standard library, to be put back before anything is called.
    """

    def __init__(self) -> None:
        self._directory = _directory()
        self._root = _root()
        self._variables = os.environ
        self._environment = dict(os.environ)
        self._undecoded = dict(_undecoded_environment())
        self._umask = os.umask(0o077)  # it cannot be read without being set
        os.umask(self._umask)
        settable = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
        # None stands for a handler that C code has set: Python can neither call nor set it.
        self._signals = [number for number in map(int, settable) if getsignal(number) is not None]
        self._handlers = list(map(getsignal, self._signals))
        self._blocked = pthread_sigmask(signal.SIG_BLOCK, ())
        self.functions = Originals()
        self._interpreter = Interpreter()
        self._process = ProcessState()

    def calm(self) -> None:
        """Restore signals and timers: nothing of the trial's is called any more. Never raises."""
        for _ in range(_TRIES):
            with suppress(BaseException):  # a handler that the trial left may be called once more
                self._restore_signals()
                return

    def restore(self) -> list[str]:
        """Undo all other changes since construction, except those of functions. Never raises.

        Returns:
            What could not be undone, and stays as it is.
        """
        for _ in range(_TRIES):
            with suppress(BaseException):  # a thread that the trial left may change what is looked at
                kept = self._process.put_back()
                self._restore_environment()
                kept += self._restore_directory()
                os.umask(self._umask)
                kept += self._interpreter.put_back()
                return kept
        return ["what it had found"]

    def _restore_signals(self) -> None:
        # In this order: nothing is due any more, then nothing of the trial's is called, then signals come.
        for timer in _TIMERS:
            signal.setitimer(timer, 0)  # alarm() is the first of them
        if list(map(getsignal, self._signals)) != self._handlers:
            for number, handler in zip(self._signals, self._handlers, strict=True):
                if getsignal(number) is not handler:
                    signal.signal(number, handler)
        blocked = pthread_sigmask(signal.SIG_BLOCK, ())
        if blocked == self._blocked:
            return
        late = blocked - self._blocked
        if late and _LINUX:
            # They waited for the trial to unblock them, and would kill its successor.
            while signal.sigtimedwait(late, 0) is not None:
                pass
        pthread_sigmask(signal.SIG_SETMASK, self._blocked)

    def _restore_environment(self) -> None:
        if os.environ is not self._variables:
            os.environ = self._variables  # noqa: B003 - an objective has put another in its place
        if _undecoded_environment() == self._undecoded:
            return
        for name in os.environ.keys() - self._environment.keys():
            del os.environ[name]
        os.environ.update(self._environment)

    def _restore_directory(self) -> list[str]:
        found = _directory()
        if found == self._directory and found not in (None, "/"):
            return []
        # Below another root directory this one has another name, unless it is the root itself.
        if _root() != self._root:
            return ["its root directory"]
        if self._directory is not None and found != self._directory:
            with suppress(OSError):  # removed meanwhile, or closed to us
                os.chdir(self._directory)
        return []


def _undecoded_environment() -> Mapping[Any, Any]:
    """Returns the mapping behind ``os.environ``: to decode every variable takes most of the time."""
    inside: Mapping[Any, Any] = getattr(os.environ, "_data", os.environ)
    return inside


def _directory() -> str | None:
    """The working directory; None if it has been removed."""
    try:
        return os.getcwd()  # noqa: PTH109 - as a string, which costs a third
    except OSError:
        return None


def _root() -> tuple[int, int]:
    found = os.stat("/")  # noqa: PTH116 - a Path takes twice as long
    return found.st_dev, found.st_ino


def renew_randomness() -> None:
    """Seed ``random``, and numpy's global state if it is loaded, from the operating system's entropy."""
    entropy = os.urandom(2 * _SEED.size)
    # Without an argument it would ask for a hundred times as much entropy as it has use for.
    random.seed(int.from_bytes(entropy[: _SEED.size], "big"))
    # Not "numpy": it loads this part when it is first asked for, and only then seeds it.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:
        # Without an argument it would do the same and take five times as long.
        numpy_random.seed(_SEED.unpack_from(entropy, _SEED.size))
