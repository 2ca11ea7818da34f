"""Calls in a child that an objective forks. Imported by evaluators, so standing alone."""

from __future__ import annotations

import os


def raised_in_a_child(call):
    """Make a call in a forked child; return what it raises there as text, empty if it raises nothing."""
    reading, writing = os.pipe()
    if (child := os.fork()) == 0:
        try:
            call()
        except BaseException as error:
            os.write(writing, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as said:
        text = said.read()
    os.waitpid(child, 0)
    return text
