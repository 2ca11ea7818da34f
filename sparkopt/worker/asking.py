"""The objective's conversation with process A: reports and requests, one at a time, and their replies.

    objective's threads ──▶ Asking.ask ──▶ queue ──▶ a thread of its own ──▶ frame ──▶ A ──▶ driver
             └──────◀── future ◀──────────────────────────┘◀── frame ◀── A ◀──────────────────┘

Only that thread waits on the socket. A signal handler of the objective's that raises, as one that keeps a
time limit does, thereby ends the wait and not the conversation with A: the answer is still read, and dropped.
"""

from __future__ import annotations

import os
import queue
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeAlias

from sparkopt.errors import RequestFailedError, StorageError, TrialError
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker.evaluator_socket import EvaluatorSocket
from sparkopt.worker.frames import Frame, Kind

THREAD_NAME: Final = "sparkopt-asking"

_Question: TypeAlias = "tuple[Frame, Future[Frame]]"


class Asking:
    """Asks for one trial, one question after another.

    Args:
        sock: to process A.
        directory: where bodies go that are too large for the socket; A owns and removes it.
    """

    def __init__(self, sock: EvaluatorSocket, directory: Path) -> None:
        self._sock = sock
        self._run_number = sock.run
        self._directory = directory
        self._lock = threading.Lock()
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked = 0

    @property
    def in_child(self) -> bool:
        """Whether this is a process that the objective has forked."""
        return self._sock.in_child

    def refuse_children(self, what: str) -> None:
        """Raise unless this is the trial's own process.

        Args:
            what: is to be said or asked, with its article.

        Raises:
            TrialError: in a process that the objective has forked.
        """
        if self.in_child:
            raise TrialError(
                f"{what} came from process {os.getpid()}, which the objective has forked. Only the trial's"
                " own process can report and ask: hand it what is to be reported, and report it there."
            )

    def ask(self, method: str, body: bytes | Path) -> bytes | Path:
        """See :meth:`sparkopt.worker.reports.Reporter.ask`."""
        what = f"the request {method}"
        self.refuse_children(what)
        header: dict[str, Any] = {"method": method}
        if isinstance(body, bytes) and len(body) > INLINE_BYTES:
            body = self._in_file(body)
        if isinstance(body, Path):
            header["file"], body = str(body), b""
        reply = self.exchange(Kind.REQUEST, header, body, what)
        if "failure" in reply.header:
            raise RequestFailedError(reply.header["failure"])
        file_name = reply.header.get("file")
        return reply.payload if file_name is None else Path(file_name)

    def exchange(self, kind: Kind, header: dict[str, Any], payload: bytes, what: str) -> Frame:
        """Have a question answered by process A.

        Args:
            kind: of the question.
            header: of the question; it is given an ``id``.
            payload: of the question.
            what: is said or asked, with its article.

        Raises:
            TrialError: if the trial has ended, the worker is being ended, or this is a child process.
        """
        self.refuse_children(what)
        answer: Future[Frame] = Future()
        with self._lock:
            if self._closed:
                raise TrialError(f"{what} came after its trial had ended")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()
            self._asked += 1
            question = Frame(kind, {**header, "id": self._asked}, payload, self._run_number)
            self._questions.put((question, answer))
        try:
            return answer.result()
        except TrialError as error:
            raise TrialError(f"{what} cannot be sent: {error}") from None

    def close(self) -> None:
        """The trial has ended: refuse what comes from now on, and wait for the answers that are due."""
        if self.in_child:
            return
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._questions.put(None)
            thread.join()

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            frame, answer = question
            try:
                answer.set_result(self._sock.exchange(frame))
            except Exception as error:  # noqa: BLE001 - for who has asked
                answer.set_exception(error)

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
