"""Process A's end of the socket to one evaluator.

    ask(frame) ──▶ socket ──▶ B ──▶ socket ──▶ checked ──▶ values, reports and requests: hear
                                                       ├──▶ the answer: what ask returns
                                                       └──▶ anything else: fault, once, and nothing after it

What comes is checked before anything believes it: the magic, the sizes, the types of the fields, the number
of the run, and whether it is the evaluator's turn. An evaluator has at most one report and one request in
each lane without a reply, and the ids of its questions rise. One whose socket says anything else is not to be
trusted with another trial, whoever wrote it: the supervisor kills it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast

from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker import answers
from sparkopt.worker.answers import ANSWERS, QUESTIONS
from sparkopt.worker.evaluator_socket import answer_file
from sparkopt.worker.frames import HEADER_BYTES, Frame, FrameBuffer, FrameError, Kind


class EvaluatorConnection(asyncio.Protocol):
    """The socket to one evaluator.

    Attributes:
        closed: done when the socket is closed, from either end.
        fault: what has come that no evaluator sends; None if nothing has.

    Args:
        directory: where evaluators put payloads that are too large.
        on_fault: called when there is a fault.
    """

    def __init__(self, directory: Path, on_fault: Callable[[], None]) -> None:
        loop = asyncio.get_running_loop()
        self._directory = directory
        self._on_fault = on_fault
        self._buffer = FrameBuffer()
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[Frame] = loop.create_future()
        self._hear: Callable[[Frame], None] = lambda frame: None
        self._run: int | None = None
        self._timed = False
        self._open: dict[int, Lane | None] = {}
        self._asked = 0
        self._has_run = False
        self._unread = False
        self.closed: asyncio.Future[None] = loop.create_future()
        self.fault: str | None = None
        self._modules: dict[str, str] = {}
        self._latest: Mapping[str, str] | None = None

    @property
    def began(self) -> bool:
        """True if the evaluator may have read the run that it was asked for.

        The kernel resets a socket that is closed before all of it was read, and takes nothing for it then.
        """
        return not self._unread

    def takes_modules(self, digests: Mapping[str, str]) -> bool:
        """Note that the evaluator loads modules, and return True, unless it has other versions of them.

        Args:
            digests: of the modules, by name.
        """
        if digests is self._latest:
            return True
        if any(self._modules.get(name, digest) != digest for name, digest in digests.items()):
            return False
        self._modules.update(digests)
        self._latest = digests
        return True

    async def ask(self, frame: Frame, hear: Callable[[Frame], None]) -> Frame:
        """Send a RUN and wait for its answer.

        Args:
            frame: with the number of the run.
            hear: takes what else the evaluator says before it answers.
        """
        self._hear = hear
        self._run, self._timed, self._open, self._asked = frame.run, frame.header["timed"], {}, 0
        self._has_run = False
        self._answer = asyncio.get_running_loop().create_future()
        self._unread = not self._write(frame)
        return await self._answer

    def say(self, frame: Frame) -> None:
        """Reply to the question of the frame's ``id``, if the evaluator waits for that."""
        number = frame.header["id"]
        if self._run is not None and number in self._open:
            del self._open[number]
            self._write(Frame(frame.kind, frame.header, frame.payload, self._run))

    def _write(self, frame: Frame) -> bool:
        """Send a frame, unless the evaluator has hung up."""
        assert self._transport is not None
        if self._transport.is_closing():
            return False
        self._transport.write(frame.encode())
        return True

    def end(self, error: Exception) -> None:
        """The evaluator's process has ended: without an answer, unless it has left that in a file."""
        if self._answer.done():
            return
        saved = self._saved() if self.fault is None else None
        if saved is not None:
            self._answer.set_result(saved)
        else:
            self._answer.set_exception(error)
            self._answer.exception()

    def _saved(self) -> Frame | None:
        """The answer that the evaluator has put into a file, as it could not send it."""
        if self._run is None:
            return None
        path = answer_file(self._directory, self._run)
        try:
            with path.open("rb") as file:
                data = file.read(HEADER_BYTES + 2 * INLINE_BYTES)
            path.unlink()
            (frame,) = FrameBuffer().feed(data)
            answers.check(frame, self._directory)
        except (OSError, ValueError, FrameError):  # no answer: the evaluator's end is told as it is
            return None
        return frame if frame.kind in ANSWERS and frame.run == self._run else None

    def abort(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        # uvloop's transports are not asyncio's, though they do the same.
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Process bytes from the evaluator; after a fault, ignore them."""
        if self.fault is not None:
            return
        try:
            for frame in self._buffer.feed(data):
                self._take(frame)
        except FrameError as error:
            self.fault = str(error)
            self._on_fault()

    def _take(self, frame: Frame) -> None:
        answers.check(frame, self._directory)
        if self._run is None or frame.run != self._run:
            now = "nothing runs" if self._run is None else f"run {self._run} is under way"
            raise FrameError(f"a {frame.kind.name} belongs to run {frame.run}, and {now}")
        if frame.kind in ANSWERS:
            self._run = None
            self._answer.set_result(frame)
            return
        if frame.kind in QUESTIONS:
            number, lane = frame.header["id"], answers.lane_of(frame)
            if number <= self._asked or lane in self._open.values():
                raise FrameError(f"a {frame.kind.name} came before its turn")
            self._open[number] = lane
            self._asked = number
        elif frame.kind is Kind.VALUE:
            self._has_run = True
        else:
            if not self._timed:
                raise FrameError(f"a {frame.kind.name} came twice, or was not asked for")
            self._timed = False
        self._hear(frame)

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that nothing more comes, and whether everything was read."""
        if isinstance(exc, (ConnectionResetError, BrokenPipeError)) and not (self._asked or self._has_run):
            self._unread = True
        self.closed.set_result(None)
