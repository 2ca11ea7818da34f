"""End of a process that an objective has forked, and that returns from the objective as its parent does."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

_exit, _getpid, _kill = os._exit, os.getpid, os.kill


def leave(error: BaseException | None) -> NoReturn:
    """End this process as Python ends a script: the error told, streams written out, and with its exit code.

    Args:
        error: that the objective has raised in it; None if it has returned.
    """
    code = 1
    try:
        code = _tell(error)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(BaseException):  # it may be anything, or closed
                stream.flush()
        if isinstance(error, KeyboardInterrupt):
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            _kill(_getpid(), signal.SIGINT)
        _exit(code)


def _tell(error: BaseException | None) -> int:
    """Write what Python writes of an error, and give the exit code."""
    if error is None:
        return 0
    if isinstance(error, SystemExit):
        if error.code is None:
            return 0
        if isinstance(error.code, int):
            return error.code & 0xFF
        print(error.code, file=sys.stderr)  # noqa: T201 - as Python does
        return 1
    sys.excepthook(type(error), error, error.__traceback__)
    return 1
