"""Objectives that report to the test and wait for its word. Imported by evaluators, so standing alone.

Each opens a connection to the test's post (see tests/post.py) and holds it for as long as it lives: the test
sees by the end of the connection that the process is gone.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

from sparkopt.worker.reports import ReportingObjective

GRANDCHILD = "import meetings, sys; meetings.meet(sys.argv[1], 'child')"


def meet(post, word=""):
    """Tell the test who this is; wait for its word and return it."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(post)
        sock.sendall(json.dumps({"word": word, "pid": os.getpid(), "parent": os.getppid()}).encode() + b"\n")
        return sock.recv(100).decode()


def wait(argument):
    """Meet the test: the argument is its post and a word."""
    return meet(*argument)


def say_and_wait(argument):
    """Print a word without ending the line, then meet the test."""
    print(argument[1], end="", flush=True)  # noqa: T201
    return meet(*argument)


def wait_for_bytes(argument):
    """Meet the test, then return so many bytes."""
    post, size = argument
    meet(post)
    return bytes(size)


def have_children(argument):
    """Have a child and a daemon that each meet the test, then meet it as well."""
    post, word = argument
    subprocess.Popen([sys.executable, "-c", GRANDCHILD, post])
    if (middle := os.fork()) == 0:
        os.setsid()
        if os.fork() == 0:
            meet(post, "daemon")
        os._exit(0)
    os.waitpid(middle, 0)
    return meet(post, word)


def take_a_seat(argument):
    """Meet the test while sitting on a seat of its own; raises if more sit than there are seats."""
    post, word, directory, seats = argument
    for number in range(seats):
        seat = Path(directory) / str(number)
        try:
            os.close(os.open(seat, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            continue
        try:
            return meet(post, word)
        finally:
            seat.unlink()
    raise RuntimeError("every seat is taken")


class Report(ReportingObjective):
    """Report what the argument says, meeting the test wherever the argument has a post instead."""

    def run(self, argument, reporter):
        for item in argument:
            if isinstance(item, str):
                meet(item)
            else:
                reporter.report(*item)
        return "done"


def double(x):
    """The plainest objective."""
    return x * 2


def backwards(data):
    """As many bytes as came in."""
    return data[::-1]


def complain(text):
    """Raise with this text."""
    raise ValueError(text)


def pid(_):
    """Which process this is."""
    return os.getpid()
