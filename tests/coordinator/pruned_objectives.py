"""Objectives that are to stop early. Imported by evaluators, so standing alone."""

from __future__ import annotations

import builtins
import contextlib
import ctypes
import os
import threading
import time

import sparkopt
from tests.coordinator.meetings import meet


def _until_pruned(argument):
    """Meet the test, then report until that raises."""
    meet(argument)
    while True:
        sparkopt.report(1.0)
        time.sleep(0.001)


def reports(argument):
    """Let it pass."""
    _until_pruned(argument)


def catches_exceptions(argument):
    """Take whatever an ordinary handler takes."""
    try:
        _until_pruned(argument)
    except Exception:
        return "swallowed"


def raises_another(argument):
    """Come to grief in the cleaning up."""
    try:
        _until_pruned(argument)
    finally:
        raise RuntimeError("while cleaning up")


def raises_from_it(argument):
    """Say it in other words."""
    try:
        _until_pruned(argument)
    except sparkopt.TrialPruned as error:
        raise RuntimeError("stopped") from error


def raises_a_group(argument):
    """As several errors at once; on Python 3.10, which has no groups, by itself."""
    try:
        _until_pruned(argument)
    except sparkopt.TrialPruned as error:
        group = getattr(builtins, "BaseExceptionGroup", None)
        if group is None:
            raise
        raise group("some", [ValueError(1), error]) from None


def swallows_the_first(argument):
    """Go on after the first, and let the second pass."""
    with contextlib.suppress(sparkopt.TrialPruned):
        _until_pruned(argument)
    sparkopt.report(2.0)


def asks(argument):
    """Ask until the answer is to stop, and raise by itself."""
    meet(argument)
    while not sparkopt.should_prune():
        time.sleep(0.001)
    raise sparkopt.TrialPruned


def asks_in_a_child(argument):
    """Have a forked child ask."""
    meet(argument)
    if (child := os.fork()) == 0:
        while not sparkopt.should_prune():
            time.sleep(0.001)
        os._exit(7)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    sparkopt.report(1.0)


def returns_all_the_same(argument):
    """Note the verdict, and have a result."""
    meet(argument)
    while not sparkopt.should_prune():
        time.sleep(0.001)
    return "a result"


def fails_all_the_same(argument):
    """Note the verdict, and fail for a reason of its own."""
    meet(argument)
    while not sparkopt.should_prune():
        time.sleep(0.001)
    raise ValueError("of its own")


def goes_on(argument):
    """Swallow everything, and go on for ever."""
    meet(argument)
    while True:
        try:
            sparkopt.report(1.0)
            time.sleep(0.001)
        except BaseException:
            meet(argument, "goes on")


def goes_on_in_c(argument):
    """Call a function of C that lets nothing else in, and never ends."""
    meet(argument)
    ctypes.PyDLL(None).pause()


def in_a_thread(argument):
    """Report in a thread, and let what that raises pass in the main one."""
    raised = []

    def run():
        try:
            _until_pruned(argument)
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    raise raised[0]


def stops_by_itself(argument):
    """Stop without a verdict."""
    raise sparkopt.TrialPruned("not worth it")


def next_one(argument):
    """Report, and return the process's id."""
    for step in range(10):
        sparkopt.report(0.0, step)
    assert not sparkopt.should_prune()
    return os.getpid()


class Follow:
    """Run the function that the argument names."""

    def __call__(self, argument):
        name, rest = argument
        return globals()[name](rest)
