"""B's standard streams: both are the pipe to A, so that what is printed and what is logged keep their order.

Whatever writes to the file descriptors 1 and 2 is on that pipe: Python, C libraries, subprocesses.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
from typing import Final, TextIO

_LINUX: Final = sys.platform == "linux"
_IOLBF: Final = 1


class Streams:
    """Standard output and standard error of this process, from now on.

    Args:
        writer: the pipe to A; closed, as its duplicates take its place.
    """

    def __init__(self, writer: int) -> None:
        os.dup2(writer, 1)
        os.dup2(writer, 2)
        os.close(writer)
        self._output, self._error = _stream(1), _stream(2)
        sys.stdout, sys.stderr = self._output, self._error
        self._libc = ctypes.CDLL(None)
        self._c_output: ctypes.c_void_p | None = None
        if _LINUX:
            self._c_output = ctypes.c_void_p.in_dll(self._libc, "stdout")
            self._libc.setvbuf(self._c_output, None, _IOLBF, ctypes.c_size_t(0))

    def settle(self) -> None:
        """Write out what is buffered, and be again what ``sys`` has for its streams. Never raises."""
        for stream in (sys.stdout, sys.stderr, self._output, self._error):
            with contextlib.suppress(BaseException):  # a trial may have put anything there, or closed it
                stream.flush()
        # Not all of C's streams: one of a thread that reads is locked until it has read.
        self._libc.fflush(self._c_output)
        if self._output.closed:
            self._output = _stream(1)
        if self._error.closed:
            self._error = _stream(2)
        sys.stdout, sys.stderr = self._output, self._error


def _stream(number: int) -> TextIO:
    return os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
