"""Objectives that report intermediate values. Imported by evaluators, so standing alone."""

from __future__ import annotations

import contextlib
import os
import threading
import time

import sparkopt
from sparkopt.worker.reports import ReportingObjective
from tests.coordinator.forked_calls import raised_in_a_child
from tests.coordinator.meetings import meet


def follow(argument):
    """Do what each item says: meet the test at a post, or report a value, perhaps with a step."""
    for item in argument:
        if isinstance(item, str):
            meet(item)
        else:
            callback(*item)
    return "done"


def callback(*item):
    """Below the objective, as a library calls it back."""
    sparkopt.report(*item)


def flood(argument):
    """Report so many values, and return the seconds that a report took."""
    began = time.monotonic()
    for number in range(argument):
        sparkopt.report(float(number))
    return (time.monotonic() - began) / argument


def from_threads(argument):
    """Report so many values from each of so many threads, without steps."""
    threads, values = argument

    def run(number):
        for _ in range(values):
            sparkopt.report(number)

    running = [threading.Thread(target=run, args=(number,)) for number in range(threads)]
    for each in running:
        each.start()
    for each in running:
        each.join()
    return "done"


def go_on_behind_the_end(argument):
    """Leave a thread that reports until the next trial begins; the next one reports once."""
    if argument == "next":
        LEFT.set()
        sparkopt.report(7.0, 7)
        return "done"
    threading.Thread(target=_report_until_left, daemon=True).start()
    return "done"


LEFT = threading.Event()


def _report_until_left():
    while not LEFT.is_set():
        sparkopt.report(0.0, 0)
        time.sleep(0.0001)


def from_a_child(argument):
    """Report in a forked child, and then here; return what that raised there."""
    text = raised_in_a_child(lambda: sparkopt.report(1.0))
    sparkopt.report(2.0)
    return text


def refusals(argument):
    """Return what reporting each of these raises, as the names of classes."""
    raised = []
    for item in argument:
        try:
            sparkopt.report(*item)
        except Exception as error:
            raised.append(type(error).__name__)
        else:
            raised.append("")
    return raised


def report_then(argument):
    """Report values, then raise, or die."""
    values, end = argument
    for value in values:
        sparkopt.report(value)
    if end == "raise":
        raise ValueError("enough")
    os._exit(3)


class BesideARequest(ReportingObjective):
    """Report values while a request has no reply."""

    def run(self, argument, reporter):
        asking = threading.Thread(target=lambda: reporter.ask("trial.wait"))
        asking.start()
        meet(argument)
        sparkopt.report(1.5)
        asking.join()
        return "done"


def close_the_connection(argument):
    """Report after all descriptors were closed."""
    os.closerange(3, 4096)
    with contextlib.suppress(OSError):
        os.closerange(4096, 70_000)
    try:
        sparkopt.report(1.0)
    except Exception as error:
        return type(error).__name__
    return "nothing was raised"
