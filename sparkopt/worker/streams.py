"""B's standard streams: 1 and 2 are the pipe to A, so that what is printed and logged keeps its order.

Whatever writes to the file descriptors 1 and 2 is on that pipe: Python, C libraries, subprocesses. Nothing
comes out of descriptor 0. A trial may close them or lead them elsewhere. The next one finds them as they
were, as duplicates are kept under high numbers.
"""

from __future__ import annotations

import ctypes
import os
import sys
from contextlib import suppress
from typing import Any, Final, TextIO

from sparkopt.worker.descriptors import out_of_the_way

_LINUX: Final = sys.platform == "linux"
_IOLBF: Final = 1
_dup2, _write = os.dup2, os.write


class Streams:
    """Standard input, output and error of this process, from now on.

    Args:
        writer: the pipe to A; closed, as its duplicates take its place.
    """

    def __init__(self, writer: int) -> None:
        self._input_kept = out_of_the_way(os.open(os.devnull, os.O_RDONLY))
        self._output_kept = out_of_the_way(writer)
        self._lead_home()
        self._output, self._error = _stream(1), _stream(2)
        sys.stdout, sys.stderr = self._output, self._error
        self._libc = ctypes.CDLL(None)
        self._c_output: ctypes.c_void_p | None = None
        if _LINUX:
            self._c_output = ctypes.c_void_p.in_dll(self._libc, "stdout")
            self._libc.setvbuf(self._c_output, None, _IOLBF, ctypes.c_size_t(0))

    @property
    def descriptors(self) -> set[int]:
        """Those that the streams need."""
        return {0, 1, 2, self._input_kept, self._output_kept}

    def settle(self) -> bool:
        """Flush the streams, and make ``sys`` and the descriptors refer to them again. Never raises.

        Returns:
            Whether the streams are whole again.
        """
        _flush(self._output)
        _flush(self._error)
        if sys.stdout is not self._output or sys.stderr is not self._error:
            _flush(sys.stdout)
            _flush(sys.stderr)
        # Not all of C's streams: one of a thread that reads is locked until it has read.
        self._libc.fflush(self._c_output)
        whole = True
        try:
            self._lead_home()
        except OSError:  # the trial has closed the duplicates too
            whole = False
        if self._output.closed or self._error.closed:
            self._reopen()
        sys.stdout, sys.stderr = self._output, self._error
        return whole

    def _reopen(self) -> None:
        with suppress(OSError):
            if self._output.closed:
                self._output = _stream(1)
            if self._error.closed:
                self._error = _stream(2)

    def tell(self, text: str) -> None:
        """Write a line of our own, if there is still something to write to."""
        with suppress(OSError):
            _write(2, f"{text}\n".encode())

    def _lead_home(self) -> None:
        _dup2(self._input_kept, 0)
        _dup2(self._output_kept, 1)
        _dup2(self._output_kept, 2)


def _flush(stream: Any) -> None:
    with suppress(BaseException):  # a trial may have put anything there, or closed it
        stream.flush()


def _stream(number: int) -> TextIO:
    return os.fdopen(number, "w", buffering=1, encoding="utf-8", errors="backslashreplace", closefd=False)
