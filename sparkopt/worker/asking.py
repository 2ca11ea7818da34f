"""The objective's conversation with process A: reports, requests, and their replies.

    objective's threads ──▶ ask, report ──▶ speaker: a line for each lane ──▶ frame ──▶ A ──▶ driver
             └──────◀── future ◀── listener ◀── frame ◀── A ◀──────────────────────────────────┘

Reports have a lane of their own, so that none waits for a request. Within a lane one question follows
another: the next is sent when the one before has its reply.

The two threads begin with a trial's first question and end with the trial. They alone use the socket
meanwhile: a signal handler of the objective's that raises, as one that keeps a time limit does, ends the wait
and not the conversation with A. The answer is still read, and dropped. The listener waits on the socket only
while a reply is due, so that it never reads what comes after the trial.
"""

from __future__ import annotations

import os
import tempfile
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, RLock, Thread
from typing import Any, Final

from sparkopt.errors import RequestFailedError, StorageError, TrialError
from sparkopt.wire import lanes
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker.evaluator_socket import EvaluatorSocket
from sparkopt.worker.frames import Frame, Kind

_THREAD_NAME: Final = "sparkopt-asking"


@dataclass(slots=True, eq=False)
class _Question:
    """A question, from when it is asked until it has its reply.

    Attributes:
        kind: of its frame.
        lane: of a request; None for a report.
        header: of its frame, without the id.
        payload: of its frame.
        answer: takes the reply, or why there is none.
        answered: whether it has either.
    """

    kind: Kind
    lane: Lane | None
    header: dict[str, Any]
    payload: bytes
    answer: Future[Frame] = field(default_factory=Future)
    answered: bool = False


class Asking:
    """Asks for one trial: one question after another in each lane.

    Args:
        sock: to process A.
        directory: where bodies go that are too large for the socket; A owns and removes it.
    """

    def __init__(self, sock: EvaluatorSocket, directory: Path) -> None:
        self._sock = sock
        self._run_number = sock.run
        self._directory = directory
        self._lock = Lock()
        self._speaker: Thread | None = None
        self._closed = False
        self._asked = 0
        self._changed: SimpleQueue[_Question | None] = SimpleQueue()
        self._due: SimpleQueue[int | None] = SimpleQueue()
        self._open: dict[int, _Question] = {}

    @property
    def in_child(self) -> bool:
        """True if this is a process that the objective has forked."""
        return self._sock.in_child

    def refuse_children(self, what: str) -> None:
        """Raise unless this is the trial's own process.

        Args:
            what: is to be said or asked, with its article.

        Raises:
            TrialError: in a process that the objective has forked.
        """
        self._sock.refuse_children(what)

    def ask(self, method: str, body: bytes | Path) -> bytes | Path:
        """See :meth:`sparkopt.worker.reports.Reporter.ask`."""
        what = f"the request {method}"
        self.refuse_children(what)
        lane, _ = lanes.split(method)
        header: dict[str, Any] = {"method": method}
        if isinstance(body, bytes) and len(body) > INLINE_BYTES:
            body = self._in_file(body)
        if isinstance(body, Path):
            header["file"], body = str(body), b""
        reply = self._exchange(_Question(Kind.REQUEST, lane, header, body), what)
        if "failure" in reply.header:
            raise RequestFailedError(reply.header["failure"])
        file_name = reply.header.get("file")
        return reply.payload if file_name is None else Path(file_name)

    def report(self, report: Frame, what: str) -> Frame:
        """Have a report taken by process A.

        Args:
            report: without an id.
            what: is said, with its article.

        Raises:
            TrialError: if the trial has ended, the worker is being ended, or this is a child process.
        """
        return self._exchange(_Question(report.kind, None, report.header, report.payload), what)

    def _exchange(self, question: _Question, what: str) -> Frame:
        self.refuse_children(what)
        with self._lock:
            if self._closed:
                raise TrialError(f"{what} came after its trial had ended")
            if self._speaker is None:
                self._speaker = Thread(target=self._speak, name=_THREAD_NAME, daemon=True)
                self._speaker.start()
            self._changed.put(question)
        try:
            return question.answer.result()
        except TrialError as error:
            raise TrialError(f"{what} cannot be sent: {error}") from None

    def close(self) -> None:
        """The trial has ended: refuse what comes from now on, and wait for the answers that are due."""
        if self.in_child:
            return
        with self._lock:
            self._closed = True
            speaker = self._speaker
        if speaker is not None:
            self._changed.put(None)
            speaker.join()

    # The threads.

    def _speak(self) -> None:
        """Send questions, each when its lane is free, until the trial has ended and all have replies."""
        listener = Thread(target=self._listen, name=f"{_THREAD_NAME}-replies", daemon=True)
        listener.start()
        lines: dict[Lane | None, deque[_Question]] = {}
        ended = False
        while lines or not ended:
            question = self._changed.get()
            if question is None:
                ended = True
                continue
            line = lines.setdefault(question.lane, deque())
            if question.answered:
                line.popleft()
            else:
                line.append(question)
                if len(line) > 1:
                    continue
            if line:
                self._send(line[0])
            else:
                del lines[question.lane]
        self._due.put(None)
        listener.join()

    def _send(self, question: _Question) -> None:
        self._asked += 1
        number = self._asked
        self._open[number] = question
        try:
            header = {**question.header, "id": number}
            self._sock.ask(Frame(question.kind, header, question.payload, self._run_number))
        except Exception as error:  # noqa: BLE001 - for the caller that has asked
            self._settle(number, error)
        else:
            self._due.put(number)

    def _listen(self) -> None:
        """Read as many replies as questions were sent, and hand each to the thread that waits for it."""
        gone: TrialError | None = None
        while (number := self._due.get()) is not None:
            if gone is None:
                try:
                    reply = self._sock.next_reply(self._open)
                except TrialError as error:
                    gone = error
                    for other in list(self._open):
                        self._settle(other, gone)
                else:
                    self._settle(reply.header["id"], reply)
            else:
                self._settle(number, gone)

    def _settle(self, number: int, answer: Frame | Exception) -> None:
        """End the wait for a question's reply, if it has not ended."""
        question = self._open.pop(number, None)
        if question is None:
            return
        question.answered = True
        self._changed.put(question)  # first, so that its lane is free when its thread asks again
        if isinstance(answer, Frame):
            question.answer.set_result(answer)
        else:
            question.answer.set_exception(answer)

    def _in_file(self, body: bytes) -> Path:
        handle, name = tempfile.mkstemp(dir=self._directory, prefix="request-")
        path = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(body)
        except OSError as error:
            path.unlink()
            raise StorageError.of(error, "a request", self._directory) from error
        return path


class TrialAsking:
    """The :class:`Asking` of the trial that runs. It is made when the trial asks for the first time.

    Args:
        sock: to process A.
        directory: where bodies go that are too large for the socket.
    """

    def __init__(self, sock: EvaluatorSocket, directory: Path) -> None:
        self._sock = sock
        self._directory = directory
        self._lock = RLock()  # a signal handler of the objective's may ask while its thread does
        self._asking: Asking | None = None
        self._ended_run = 0

    def get(self, what: str) -> Asking:
        """Returns it, for any thread of the objective.

        Args:
            what: is to be said or asked, with its article.

        Raises:
            TrialError: if the trial has ended, or this is a child process.
        """
        self._sock.refuse_children(what)
        with self._lock:
            if self._ended_run == self._sock.run:
                raise TrialError(f"{what} came after its trial had ended")
            if self._asking is None:
                self._asking = Asking(self._sock, self._directory)
            return self._asking

    def end(self) -> None:
        """The trial has ended: refuse what comes from now on, and wait for the answers that are due."""
        with self._lock:
            self._ended_run = self._sock.run
            asking, self._asking = self._asking, None
        if asking is not None:
            asking.close()
