"""Exit codes of the commands, and the group of commands that gives every end its code."""

from __future__ import annotations

import contextlib
import enum
import os
import sys
from typing import Any

import click


class Exit(enum.IntEnum):
    """An exit code. Click's own, for wrong usage, is 2."""

    def __new__(cls, code: int, meaning: str) -> Exit:
        """A member, with what it means."""
        member = int.__new__(cls, code)
        member._value_ = code
        member.meaning = meaning
        return member

    meaning: str

    DONE = 0, "done"
    REFUSED = 1, "the service refused it, or it failed; the message says why"
    USAGE = 2, "the command line is wrong, or does not say which pool is meant"
    UNREACHABLE = 3, "nobody answers, the pool is closing, or none is open"
    UNAUTHORIZED = 4, "the token is missing, wrong, or good for reading only"
    FAILED = 5, "not every point of `evaluate` has an outcome that is ok"
    INTERRUPTED = 130, "interrupted (Ctrl-C)"
    BROKEN_PIPE = 141, "the output was closed (`| head`)"


EXIT_CODES = "\b\nExit codes:\n" + "\n".join(f"  {exit.value:3}  {exit.meaning}" for exit in Exit)
"""For the end of a command's help."""


class Commands(click.Group):
    """Commands that end quietly, with their code, when they are interrupted or nobody reads them any more."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command that was asked for."""
        # Text from elsewhere must not end a command, whatever the terminal's encoding has no letter for.
        if hasattr(sys.stdout, "reconfigure"):
            sys.stdout.reconfigure(errors="backslashreplace")
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            sys.exit(Exit.INTERRUPTED)
        except BrokenPipeError:
            _write_no_more()
            sys.exit(Exit.BROKEN_PIPE)
        except OSError as error:  # a disk that is full, under what is printed
            _write_no_more()
            raise click.ClickException(str(error)) from error


def _write_no_more() -> None:
    """Drop what was not written yet: Python would try again when it ends, and fail again."""
    with contextlib.suppress(OSError):  # it is not a file, or closed
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
