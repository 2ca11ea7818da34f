"""Objectives that are evaluated from outside. Workers get them by value: they have no such module."""

from __future__ import annotations


def double(point):
    """Twice x."""
    return 2 * point["x"]


def report_for_ever(point):
    """Meet the test, then report until that is enough."""
    import sparkopt

    meet(point)
    while True:
        sparkopt.report(1.0)


def meet(point):
    """Meet the test at its post, and return its word."""
    from tests.coordinator.meetings import meet

    return meet(point["post"], point["word"])


def reports(point):
    """Report thirty values."""
    import time

    import sparkopt

    for step in range(1, 31):
        sparkopt.report(point["x"] / step, step)
        time.sleep(0.01)
    return point["x"]


def checkpointed(point):
    """Go on from a checkpoint: one that no message holds, and then one that one does."""
    import sparkopt

    sparkopt.save_checkpoint([point["x"], bytes(2**21)])
    number, rest = sparkopt.load_checkpoint()
    sparkopt.save_checkpoint(number + len(rest))
    return sparkopt.load_checkpoint()
