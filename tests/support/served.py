"""A ``sparkopt serve`` of the test's own, as a user starts it: a process in a directory."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

SECONDS = 120.0
"""How long Spark and the workers may take to start, and to end."""


class Served:
    """Serves an objective until it is told to end.

    Args:
        directory: where it runs, and its user's home; holds its token file and what it says.
        objective: ``MODULE:FUNCTION``.
        more: further arguments.
        modules: where its modules are found, beside the directory.

    Attributes:
        address: where it listens.
        token_file: holds its token.
        process: itself.
    """

    def __init__(self, directory: Path, objective: str, *more: str, modules: Path | None = None) -> None:
        command = [sys.executable, "-m", "sparkopt", "serve", objective, "--listen", "127.0.0.1:0"]
        environment = {
            **os.environ,
            "HOME": str(directory),
            "PYTHONPATH": str(modules or directory),
            "PYSPARK_PYTHON": sys.executable,
            "SPARK_LOCAL_IP": "127.0.0.1",
        }
        self._said: list[str] = []
        with (directory / "serve.err").open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--master", "local[2]", "--parallelism", "2", *more],
                cwd=directory,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self.token_file = directory / "sparkopt.token"
        late = threading.Timer(SECONDS, self.process.kill)
        late.start()
        try:
            self.address = self._ready(directory)
        finally:
            late.cancel()

    def _ready(self, directory: Path) -> str:
        address = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._said.append(line)
            if found := re.search(r"Listening at (\S+:\d+)", line):
                address = found[1].rstrip(";.")
            if line.startswith("Ready"):
                assert address, self._said
                return address
        self.process.wait()
        raise AssertionError("\n".join([*self._said, (directory / "serve.err").read_text()]))

    @property
    def token(self) -> str:
        """Good for everything."""
        return self.token_file.read_text().strip()

    def wait(self) -> int:
        """Wait for its end by itself; its exit code."""
        try:
            self.process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.communicate()
            raise
        return self.process.returncode

    def end(self) -> int:
        """End it, as whoever runs it would; its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.wait()
