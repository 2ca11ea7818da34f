"""Objectives that change what is around them, and look at it. Imported by evaluators."""

from __future__ import annotations

import contextvars
import ctypes
import decimal
import gc
import locale
import logging
import multiprocessing
import os
import random
import resource
import signal
import socket
import sys
import tempfile
import threading
import time
import warnings
from pathlib import Path

import numpy

TIMERS = (signal.ITIMER_REAL, signal.ITIMER_VIRTUAL, signal.ITIMER_PROF)
SETTABLE = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
FAR = 10_000
"""Seconds."""


VARIABLE = contextvars.ContextVar("VARIABLE", default=0)
LIMITS = [
    getattr(resource, f"RLIMIT_{name}") for name in ("AS", "CPU", "DATA", "FSIZE", "NOFILE", "NPROC", "STACK")
]
HOOKS = [
    (sys, "breakpointhook"),
    (sys, "displayhook"),
    (sys, "excepthook"),
    (sys, "unraisablehook"),
    (threading, "excepthook"),
]


def wakeup_descriptor():
    found = signal.set_wakeup_fd(-1)
    if found != -1:
        signal.set_wakeup_fd(found)
    return found


def death_signal():
    number = ctypes.c_int()
    ctypes.CDLL(None).prctl(2, ctypes.byref(number), 0, 0, 0)
    return number.value


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
        "wake-up descriptor": wakeup_descriptor(),
        "interpreter": {
            "recursion limit": sys.getrecursionlimit(),
            "switch interval": sys.getswitchinterval(),
            "stack size": threading.stack_size(),
            "collection": (gc.isenabled(), gc.get_threshold(), gc.get_debug(), gc.get_freeze_count() > 0),
            "tools": (sys.gettrace(), sys.getprofile(), threading.gettrace(), threading.getprofile()),
            "hooks": [repr(getattr(module, name)) for module, name in HOOKS],
            "finders": [repr(each) for each in (*sys.meta_path, *sys.path_hooks)],
            "arguments": list(sys.argv),
            "path": sys.path[-1],
            "traceback limit": getattr(sys, "tracebacklimit", None),
            "locale": locale.setlocale(locale.LC_ALL),
            "time zone": time.tzname,
            "timeout of sockets": socket.getdefaulttimeout(),
            "start method": multiprocessing.get_start_method(allow_none=True),
        },
        "libraries": {
            "decimal": repr(decimal.getcontext()),
            "numpy": numpy.geterr(),
            "variable": VARIABLE.get(),
            "warnings that raise": [each for each in warnings.filters if each[0] == "error"],
            "logging": logging.root.manager.disable,
        },
        "process": {
            "limits": [resource.getrlimit(each) for each in LIMITS],
            "user": os.getresuid(),
            "group": (os.getresgid(), os.getgroups(), os.getpgrp() == os.getpid()),
            "niceness": os.getpriority(os.PRIO_PROCESS, 0),
            "CPUs": os.sched_getaffinity(0),
            "scheduling": os.sched_getscheduler(0),
            "root": Path("/").stat().st_ino,
            "death": death_signal(),
        },
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


def have_the_restoration_interrupted():
    """As if a handler were called just then: a call of a function that restores raises, once."""

    def trace(frame, event, _):
        if frame.f_code.co_name == "_restore_signals":
            raise KeyboardInterrupt

    os.chdir("/")
    sys.settrace(trace)


def limit(number, soft=None, hard=None):
    now = resource.getrlimit(number)
    resource.setrlimit(number, (now[0] if soft is None else soft, now[1] if hard is None else hard))


def leave_a_wakeup_descriptor():
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    os.close(reading)
    signal.set_wakeup_fd(writing)


def forget_the_path():
    sys.path[:] = []
    sys.path_hooks = []


def set_time_zone():
    os.environ["TZ"] = "Asia/Tokyo"
    time.tzset()


CHANGES = {
    "directory": lambda: os.chdir("/"),
    "directory that is gone": leave_in_a_directory_that_is_gone,
    "interrupted": have_the_restoration_interrupted,
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
    "wake-up descriptor": leave_a_wakeup_descriptor,
    "recursion limit": lambda: sys.setrecursionlimit(100_000),
    "low recursion limit": lambda: sys.setrecursionlimit(60),
    "switch interval": lambda: sys.setswitchinterval(0.1),
    "stack size": lambda: threading.stack_size(2**26),
    "no collection": gc.disable,
    "other collection": lambda: (gc.set_threshold(1, 1, 1), gc.set_debug(gc.DEBUG_SAVEALL)),
    "frozen collection": gc.freeze,
    "tracing": lambda: sys.settrace(lambda *_: None),
    "tracing that raises": lambda: sys.settrace(lambda *_: 1 / 0),
    "profiling": lambda: sys.setprofile(lambda *_: None),
    "profiling that raises": lambda: sys.setprofile(
        lambda frame, *_: frame.f_code.co_name == "put_back" and 1 / 0
    ),
    "tracing of threads": lambda: threading.settrace(raise_interrupt),
    "profiling of threads": lambda: threading.setprofile(raise_interrupt),
    "hooks": lambda: [setattr(module, name, raise_interrupt) for module, name in HOOKS],
    "finders": lambda: (sys.meta_path.clear(), sys.path_hooks.clear()),
    "arguments": lambda: sys.argv.extend(["--epochs", "3"]),
    "other arguments": lambda: setattr(sys, "argv", ["train.py"]),
    "path": forget_the_path,
    "no traceback": lambda: setattr(sys, "tracebacklimit", 0),
    "locale": lambda: locale.setlocale(locale.LC_ALL, "C.UTF-8"),
    "time zone": set_time_zone,
    "timeout of sockets": lambda: socket.setdefaulttimeout(0.001),
    "start method": lambda: multiprocessing.set_start_method("spawn"),
    "decimal": lambda: setattr(decimal.getcontext(), "prec", 3),
    "another decimal": lambda: decimal.setcontext(decimal.ExtendedContext),
    "numpy": lambda: numpy.seterr(all="raise"),
    "context variable": lambda: VARIABLE.set(7),
    "warnings": lambda: warnings.simplefilter("error"),
    "no filters": lambda: warnings.filters.clear(),
    "logging": logging.disable,
    "soft limits": lambda: (limit(resource.RLIMIT_NOFILE, soft=64), limit(resource.RLIMIT_CPU, soft=10_000)),
    "memory": lambda: (limit(resource.RLIMIT_AS, soft=2**40), limit(resource.RLIMIT_DATA, soft=2**40)),
    "processes": lambda: limit(resource.RLIMIT_NPROC, soft=50_000),
    "stack": lambda: limit(resource.RLIMIT_STACK, soft=2**20),
    "CPUs": lambda: os.sched_setaffinity(0, {min(os.sched_getaffinity(0))}),
    "death with its parent": lambda: ctypes.CDLL(None).prctl(1, 0, 0, 0, 0),
    "environment": lambda: setattr(os, "environ", {}),
}

SPENT = {
    "hard limit": lambda: limit(resource.RLIMIT_AS, 2**40, 2**40),
    "no files": lambda: limit(resource.RLIMIT_NOFILE, 64, 64),
    "niceness": lambda: (os.nice(5), give_up_privileges()),
    "user": lambda: os.setresuid(65534, 65534, 65534),
    "group": lambda: (os.setresgid(65534, 65534, 65534), give_up_privileges()),
    "root": lambda: os.chroot("/usr"),
}
"""Changes that cannot be undone. Only root could undo some of them, and only root can make the others."""


def give_up_privileges():
    if os.geteuid() == 0:
        os.setresuid(65534, 65534, 65534)


def change(name):
    """Look, or make a change; then fail if so asked."""
    if name == "look":
        return look()
    {**CHANGES, **SPENT}[name.removeprefix("failing: ")]()
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


def return_more_than_its_limits_take(what):
    """Results that cannot be sent in the surroundings that the trial leaves."""
    if what == "deep":
        nested = []
        for _ in range(200):
            nested = [nested]
        sys.setrecursionlimit(80)
        return nested
    limit(resource.RLIMIT_FSIZE, soft=1 << 20)
    return bytes(2 << 20)
