"""Objectives that write, in whichever way. Imported by evaluators."""

from __future__ import annotations

import ctypes
import logging
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

libc = ctypes.CDLL(None)


def in_turn(word):
    """Write in every way there is, and expect the same order."""
    print(word, "printed")
    logging.warning("%s logged", word)
    libc.puts(b"from C")
    subprocess.run(["echo", "from a child"], check=True)
    os.write(1, b"straight to 1\n")
    print(word, "to standard error", file=sys.stderr)


def half_a_line(how):
    """Begin a line and do not end it."""
    if how == "printed":
        print("half", end="")
    elif how == "C":
        libc.printf(b"half")
    elif how == "killed":
        os.write(1, b"half")
        os.kill(os.getpid(), signal.SIGKILL)
    else:
        os.write(1, how)


def much(lines):
    """Many numbered lines."""
    for number in range(lines):
        print(number, "x" * 80)


def garbage(argument):
    """Write so many bytes in one go, all kinds or one letter without an end of line, and die if asked to."""
    size, kinds, dies = argument
    data = bytes(range(256)) * (size // 256) if kinds else b"x" * size
    while data:
        data = data[os.write(1, data) :]
    if dies:
        os.kill(os.getpid(), signal.SIGKILL)


def mistreat_the_streams(deed):
    """Do something to the streams, or use them."""
    if deed == "close":
        sys.stdout.close()
        sys.stderr.close()
    elif deed == "replace":
        sys.stdout = sys.stderr = None
    else:
        print("out")
        print("\udcff", file=sys.stderr)


def descriptors(_):
    """Returns the open files of this process by descriptor, without the directory that lists them."""
    found = {}
    for path in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):
            found[int(path.name)] = str(path.readlink())
    return found
