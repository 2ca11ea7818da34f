"""Terminal of a plain script: it shows the search's own messages, and none of Spark's."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios

from tests.spark import quiet_scenarios
from tests.support.paths import python_path


def test_spark_adds_nothing_to_what_a_search_says(tmp_path):
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    master, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0))
    arguments = [sys.executable, quiet_scenarios.__file__, str(gate)]
    environment = {
        **os.environ,
        "PYTHONPATH": python_path(),
        "SPARK_LOCAL_IP": "127.0.0.1",
    }
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment, stderr=terminal, stdout=terminal
    ) as script:
        os.close(terminal)
        written = b"".join(iter(lambda: read(master), b"")).decode()
    os.close(master)
    assert script.returncode == 0, written
    _, *said = re.split(r"== (?=\w+)", written)
    names = [each.split()[0] for each in said]
    assert names == ["timeout_while_workers_start", "to_its_end", "one_that_is_longer", "early_stop", "end"]
    for each in said:
        assert not re.search(r" (WARN|ERROR) |\bat org\.apache|TaskKilled|Traceback", each), each
        assert "[Stage" not in each, each
        assert ("trial/s" in each) == (each != said[-1]), each


def read(descriptor: int) -> bytes:
    """Reads from a terminal; returns nothing when its other end is closed."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
