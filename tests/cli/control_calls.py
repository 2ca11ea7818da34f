"""Runs the commands that call a control service, in this process or in one of their own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from click.testing import CliRunner

from sparkopt.cli import main
from tests.support.served import Served

MODULES = Path(__file__).parents[1] / "support"
"""Where ``driven`` is."""


class Shell:
    """A shell that knows where the service is."""

    def __init__(self, served: Served) -> None:
        self.served = served

    def command(self, name: str, *more: str) -> list[str]:
        where = ["--address", self.served.address, "--token-file", str(self.served.token_file)]
        return [name, *where, *map(str, more)]

    def run(self, name: str, *more: str, stdin: str | None = None, code: int = 0) -> str:
        """The output of a command, if it ends with this code."""
        result = CliRunner().invoke(main, self.command(name, *more), input=stdin)
        assert result.exit_code == code, result.output
        return result.output

    def json(self, name: str, *more: str, stdin: str | None = None) -> list[dict]:
        """The objects that a command prints."""
        return [json.loads(line) for line in self.run(name, "--json", *more, stdin=stdin).splitlines()]

    def start(self, name: str, *more: str, **options: object) -> subprocess.Popen:
        """A command in a process of its own."""
        command = [sys.executable, "-m", "sparkopt", *self.command(name, *more)]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, **options)
