"""Output of evaluators, on its way to the executor's log.

    B, its children ──▶ pipe ──▶ Output.read ──▶ Lines: "[trial 12] text" ──▶ A's standard error
                                 when readable               ▲                when writable
                                                  A's logger ┘

Nothing here waits for the log, and little is kept: while the log takes nothing the pipe is not read, which
slows down those that write. The labels are right because the pipe is emptied at each change of trial:
whatever a trial wrote is in the pipe before A hears that it has ended.
"""

from __future__ import annotations

import asyncio
import os
import select
from typing import Final

LINE_BYTES: Final = 64 * 1024
"""Longer lines are cut."""

BETWEEN_TRIALS: Final = "between trials"

_PIPE_BYTES: Final = 64 * 1024
"""What a pipe holds: a read of that size empties it."""


class Lines:
    """Cuts bytes into lines and puts a label in front of each."""

    def __init__(self) -> None:
        self.label = BETWEEN_TRIALS
        self._begun = b""

    def feed(self, data: bytes) -> bytes:
        """Take bytes in and return the lines that they complete, labelled."""
        *complete, self._begun = (self._begun + data).split(b"\n")
        lines = []
        for line in complete:
            while len(line) > LINE_BYTES:
                lines.append(line[:LINE_BYTES])
                line = line[LINE_BYTES:]
            lines.append(line)
        while len(self._begun) > LINE_BYTES:
            lines.append(self._begun[:LINE_BYTES])
            self._begun = self._begun[LINE_BYTES:]
        label = f"[{self.label}] ".encode()
        return b"".join(label + line + b"\n" for line in lines)

    def end(self) -> bytes:
        """The line that has begun, labelled, as if it had ended."""
        return self.feed(b"\n") if self._begun else b""


class Output:
    """A's end of the pipe.

    Made before the event loop, whose :meth:`start` to :meth:`stop` it serves.

    Args:
        pipe: what evaluators write comes out here; closed at the end.
        log: where the lines go.
    """

    def __init__(self, pipe: int, log: int = 2) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._log = log
        self._writable = select.poll()
        self._writable.register(log, select.POLLOUT)
        self._lines = Lines()
        self._unwritten = bytearray()
        self._written = asyncio.Event()
        self._written.set()
        self._loop: asyncio.AbstractEventLoop | None = None

    def start(self) -> None:
        """Pass on what comes, in the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._pipe, self._on_readable)

    def stop(self) -> None:
        """Leave the event loop alone. What comes from now on waits for :meth:`close`."""
        if self._loop is not None:
            self._loop.remove_reader(self._pipe)
            self._loop.remove_writer(self._log)
            self._loop = None

    def close(self) -> None:
        """Pass on what is left, waiting for the log to take it."""
        self._take()
        self._unwritten += self._lines.end()
        while self._unwritten:
            self._writable.poll()
            self._write_some()
        os.close(self._pipe)

    async def begin(self, label: str) -> None:
        """Begin the output of the trial with this label, once the log has taken all that came before."""
        self._change(label)
        await self._written.wait()

    def end(self) -> None:
        """The trial is over: what it wrote is in the pipe, and all that follows is not its own."""
        if self._loop is not None:
            self._change(BETWEEN_TRIALS)

    def say(self, text: str) -> None:
        """Write text of this process's own, on lines of its own; leave it out if the log has much to take."""
        if len(self._unwritten) <= LINE_BYTES:
            self._unwritten += f"{text}\n".encode(errors="backslashreplace")
            self._write()

    def _change(self, label: str) -> None:
        self._take()
        self._unwritten += self._lines.end()
        self._lines.label = label
        self._write()

    def _on_readable(self) -> None:
        if not self._take() and self._loop is not None:
            self._loop.remove_reader(self._pipe)
        self._write()

    def _take(self) -> bool:
        """Read what is in the pipe; return whether there can be more."""
        try:  # poll() would cost half of it, and fails where the process may open no more files
            data = os.read(self._pipe, _PIPE_BYTES)
        except BlockingIOError:
            return True
        self._unwritten += self._lines.feed(data)
        return bool(data)

    def _write(self) -> None:
        """Write what the log takes at once; if that is not all, read no more before it has taken the rest."""
        while self._unwritten and self._writable.poll(0):
            self._write_some()
        if self._loop is None or bool(self._unwritten) is not self._written.is_set():
            return
        if self._unwritten:
            self._written.clear()
            self._loop.remove_reader(self._pipe)
            self._loop.add_writer(self._log, self._write)
        else:
            self._written.set()
            self._loop.remove_writer(self._log)
            self._loop.add_reader(self._pipe, self._on_readable)

    def _write_some(self) -> None:
        # No more than a writable pipe takes at once, and up to the end of a line if there is one: whoever
        # else writes to the log can then not come in between.
        end = self._unwritten.rfind(b"\n", 0, select.PIPE_BUF) + 1 or select.PIPE_BUF
        try:
            written = os.write(self._log, self._unwritten[:end])
        except BlockingIOError:
            written = 0
        except OSError:  # nobody reads the log any more, or its disk is full: no reason to lose trials
            written = len(self._unwritten)
        del self._unwritten[:written]
