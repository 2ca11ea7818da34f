"""Terminals, as a user's shell has them."""

from __future__ import annotations

import fcntl
import os
import re
import select
import struct
import subprocess
import sys
import termios
import time

from tests.support.post import SECONDS

ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
ROWS, COLUMNS = 40, 140

ON_TERMINAL = """
import fcntl, os, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)  # so that Ctrl-C is a signal
os.execv(sys.argv[1], sys.argv[1:])
"""


class Terminal:
    """A pseudo-terminal with a command on it.

    Args:
        shell: knows where the service is.
        command: to run there.
        columns: how wide it is.
        environment: beside the test's own.
    """

    def __init__(self, shell, *command, columns=COLUMNS, **environment):
        self._master, slave = os.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, columns, 0, 0))
        self._process = subprocess.Popen(
            [sys.executable, "-c", ON_TERMINAL, sys.executable, "-m", "sparkopt", *shell.command(*command)],
            env={**os.environ, "TERM": "xterm-256color", **environment},
            stdin=slave,
            stdout=slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self.shown = ""

    def wait_for(self, *texts):
        """Wait until all of these have been shown, however lines were wrapped."""
        deadline = time.monotonic() + SECONDS
        while not all(text in " ".join(ESCAPE.sub("", self.shown).split()) for text in texts):
            ready, _, _ = select.select([self._master], [], [], max(0, deadline - time.monotonic()))
            assert ready, f"{texts} are not all in {self.shown!r}"
            self.shown += os.read(self._master, 65536).decode(errors="replace")

    def press(self, keys):
        os.write(self._master, keys)

    def end(self):
        """Wait for the end; its exit code."""
        while True:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the other side is closed
                break
            if not data:
                break
            self.shown += data.decode(errors="replace")
        os.close(self._master)
        return self._process.wait(SECONDS)
