"""How the objective asks something of the driver, and waits for the answer.

    objective's threads ──▶ Asking.ask ──▶ queue ──▶ a thread of its own ──▶ frame ──▶ A ──▶ driver
             └──────◀── future ◀──────────────────────────┘◀── frame ◀── A ◀──────────────────┘

Only that thread waits on the socket. A signal handler of the objective's that raises, as one that keeps a
time limit does, thereby ends the wait and not the conversation with A: the answer is still read, and dropped.
"""

from __future__ import annotations

import os
import queue
import socket
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final, TypeAlias

from sparkopt.errors import RequestFailedError, StorageError, TrialError
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker.frames import Frame, Kind, receive

THREAD_NAME: Final = "sparkopt-asking"

_Question: TypeAlias = "tuple[str, bytes | Path, Future[bytes | Path]]"


class Asking:
    """Asks for one trial, one question after another.

    Args:
        sock: to process A.
        lock: held while the socket is used.
        directory: where bodies go that are too large for the socket; A owns and removes it.
    """

    def __init__(self, sock: socket.socket, lock: threading.Lock, directory: Path) -> None:
        self._sock = sock
        self._socket_lock = lock
        self._directory = directory
        self._lock = threading.Lock()
        self._process = os.getpid()
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked = 0

    def ask(self, method: str, body: bytes | Path) -> bytes | Path:
        """See :meth:`sparkopt.worker.reports.Reporter.ask`."""
        if os.getpid() != self._process:
            raise TrialError(f"{method} was asked for in a child process; only the objective's own can ask")
        answer: Future[bytes | Path] = Future()
        with self._lock:
            if self._closed:
                raise TrialError(f"{method} was asked for after its trial had ended")
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=THREAD_NAME, daemon=True)
                self._thread.start()
            self._questions.put((method, body, answer))
        return answer.result()

    def close(self) -> None:
        """The trial has ended: refuse what comes from now on, and wait for the answers that are due."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            self._questions.put(None)
            thread.join()

    def _run(self) -> None:
        while (question := self._questions.get()) is not None:
            method, body, answer = question
            try:
                answer.set_result(self._exchange(method, body))
            except Exception as error:  # noqa: BLE001 - for who has asked
                answer.set_exception(error)

    def _exchange(self, method: str, body: bytes | Path) -> bytes | Path:
        self._asked += 1
        header: dict[str, Any] = {"id": self._asked, "method": method}
        if isinstance(body, bytes) and len(body) > INLINE_BYTES:
            body = self._in_file(body)
        if isinstance(body, Path):
            header["file"], body = str(body), b""
        with self._socket_lock:
            try:
                self._sock.sendall(Frame(Kind.REQUEST, header, body).encode())
                reply = receive(self._sock)
            except OSError:
                reply = None
        if reply is None:
            raise TrialError(f"{method} cannot be asked for: this worker is being ended")
        if "failure" in reply.header:
            raise RequestFailedError(reply.header["failure"])
        file_name = reply.header.get("file")
        return reply.payload if file_name is None else Path(file_name)

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
