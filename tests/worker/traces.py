"""Objectives that change what is around them, and look at it. Imported by evaluators."""

from __future__ import annotations

import os
import random
import signal
import tempfile
from pathlib import Path

import numpy

TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
SETTABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
FAR = 10_000
"""Seconds."""


def umask():
    found = os.umask(0)
    os.umask(found)
    return found


def directory():
    try:
        return str(Path.cwd())
    except FileNotFoundError:
        return "gone"


def look():
    """Everything that a trial must not hand on, and the process, which has to be the same."""
    return {
        "pid": os.getpid(),
        "directory": directory(),
        "environment": dict(os.environ),
        "umask": umask(),
        "handlers": {int(number): repr(signal.getsignal(number)) for number in SETTABLE},
        "timers": [signal.getitimer(timer)[0] > 0 for timer in TIMERS],
        "blocked": signal.pthread_sigmask(signal.SIG_BLOCK, ()),
    }


def leave_in_a_directory_that_is_gone():
    os.chdir(tempfile.mkdtemp())
    Path.cwd().rmdir()


def raise_interrupt(*_):
    raise KeyboardInterrupt


def leave_a_signal_that_waits(handler):
    signal.signal(signal.SIGALRM, handler)
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    signal.raise_signal(signal.SIGALRM)


def have_the_next_call_interrupted():
    """As if a handler were called just then: the next question for the directory raises, once."""
    getcwd = os.getcwd

    def interrupted():
        os.getcwd = getcwd
        raise KeyboardInterrupt

    os.chdir("/")
    os.getcwd = interrupted


CHANGES = {
    "directory": lambda: os.chdir("/"),
    "directory that is gone": leave_in_a_directory_that_is_gone,
    "interrupted": have_the_next_call_interrupted,
    "variable added": lambda: os.environ.update(ADDED="1"),
    "variable changed": lambda: os.environ.update(PYTHONPATH="elsewhere"),
    "variable removed": lambda: os.environ.pop("PYTHONPATH"),
    "umask": lambda: os.umask(umask() ^ 0o25),
    "handlers": lambda: [signal.signal(number, raise_interrupt) for number in SETTABLE],
    "ignored": lambda: [signal.signal(number, signal.SIG_IGN) for number in SETTABLE],
    "alarm": lambda: signal.alarm(FAR),
    "real timer": lambda: signal.setitimer(signal.ITIMER_REAL, FAR, FAR),
    "virtual timer": lambda: signal.setitimer(signal.ITIMER_VIRTUAL, FAR, FAR),
    "profiling timer": lambda: signal.setitimer(signal.ITIMER_PROF, FAR, FAR),
    "blocked": lambda: signal.pthread_sigmask(signal.SIG_BLOCK, SETTABLE),
    "deadly signal that waits": lambda: leave_a_signal_that_waits(signal.SIG_DFL),
    "handled signal that waits": lambda: leave_a_signal_that_waits(raise_interrupt),
}


def change(name):
    """Look, or make a change; then fail if so asked."""
    if name == "look":
        return look()
    CHANGES[name.removeprefix("failing: ")]()
    if name.startswith("failing: "):
        raise ValueError(name)
    return None


def draw(deed):
    """Draw a number from each generator, after a deed."""
    if deed == "seed":
        random.seed(7)
        numpy.random.seed(7)
    elif deed == "die":
        os._exit(3)
    return random.random(), numpy.random.random()


class Loaded:
    """An objective that, when it is loaded, changes the directory, and a variable as modules do."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def __reduce__(self):
        return load, (self.directory,)

    def __call__(self, deed):
        if deed == "remove":
            self.directory.rmdir()
        elif deed == "leave":
            os.chdir("/")
            os.umask(umask() ^ 0o25)
            del os.environ["LOADED"]
        return look()


def load(directory):
    os.chdir(directory)
    os.environ["LOADED"] = "yes"
    return Loaded(directory)
