"""B's end of the socket to process A, which only the evaluator's own process uses.

    RUN ──▶ next_run ──▶ the objective ──▶ ask ──▶ REPORT, REQUEST ──▶ A ──▶ REPORTED, REPLY ──▶ next_reply
                                      ├──▶ send_value ──▶ VALUE ──▶ A
                                      └──▶ answer ──▶ RESULT, FAILURE ──▶ A
                                               └── the socket is gone? ──▶ a file that A looks for

A child that the objective forks has no such socket: its descriptor leads nowhere there. The descriptor has a
high number, so that an objective that closes the first hundred does not meet it. One that closes all of them
has its answer saved in a file, and the evaluator ends, which A sees.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Container
from contextlib import suppress
from os import getpid
from pathlib import Path
from threading import RLock
from typing import Final

from sparkopt.errors import TrialError
from sparkopt.worker.descriptors import out_of_the_way
from sparkopt.worker.frames import Frame, FrameError, FrameReader, Kind, value_frame

# Bound here: what an objective puts into their module instead changes nothing.
_open, _write, _close, _dup2 = os.open, os.write, os.close, os.dup2
_NOTHING: Final = (os.devnull, os.O_RDWR | os.O_CLOEXEC)
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC

_GONE: Final = "this worker is being ended, or the objective has closed its connection"

UNHEARD: Final = 117
"""The exit code of an evaluator whose answer could neither be sent nor saved."""


def answer_file(directory: Path, run: int) -> Path:
    """Returns the path of the answer to a run that could not be sent."""
    return directory / f"answer-{run}"


class EvaluatorSocket:
    """The way to process A. Made once in an evaluator's process.

    Attributes:
        run: the number of the current run.
        sending: held by the thread that sends.
        descriptor: the socket's.

    Args:
        sock: to process A; it goes over to this object.
        directory: where an answer is saved that cannot be sent.
    """

    def __init__(self, sock: socket.socket, directory: Path) -> None:
        self.descriptor = out_of_the_way(sock.detach())
        self.run = 0
        # A signal handler of the objective's may report while its thread does.
        self.sending = RLock()
        self._has_answered = True
        self._socket = socket.socket(fileno=self.descriptor)
        self._directory = directory
        self._sendall = self._socket.sendall
        self._reader = FrameReader(self._socket.recv)
        self._process = getpid()
        os.register_at_fork(after_in_child=self._let_go)

    def _let_go(self) -> None:
        self._process = 0
        if self._socket.fileno() < 0:
            return
        with suppress(OSError):  # no descriptor is left to do it with
            nothing = _open(*_NOTHING)
            _dup2(nothing, self.descriptor, False)
            _close(nothing)

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    @property
    def in_child(self) -> bool:
        """True if this is a process that the objective has forked."""
        return getpid() != self._process

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

    def next_run(self) -> Frame | None:
        """Wait for a RUN; None when process A has closed the socket.

        Raises:
            FrameError: if something else comes.
        """
        frame = self._reader.next_frame()
        if frame is not None:
            if frame.kind is not Kind.RUN:
                raise FrameError(f"a {frame.kind.name} came where a RUN was due")
            self.run = frame.run
            self._has_answered = False
        return frame

    def send(self, frame: Frame) -> None:
        """Send a frame that wants no reply.

        Raises:
            OSError: if the socket is gone.
        """
        with self.sending:
            self._sendall(frame.encode())

    def send_value(self, step: int, value: float) -> None:
        """Send an intermediate value, unless the run has its answer: a thread may go on behind that.

        For a thread that holds :attr:`sending`.

        Raises:
            TrialError: if process A is not there any more.
        """
        if self._has_answered:
            return
        try:
            # So small a frame is sent whole or not at all, also if a signal handler raises meanwhile.
            self._sendall(value_frame(self.run, step, value))
        except OSError:
            raise TrialError(_GONE) from None

    def ask(self, frame: Frame) -> None:
        """Send a question. From one thread at a time.

        Raises:
            TrialError: if process A is not there any more.
        """
        data = frame.encode()
        with self.sending:
            try:
                self._sendall(data)
            except OSError:
                raise TrialError(_GONE) from None

    def next_reply(self, questions: Container[int]) -> Frame:
        """Wait for the next reply to a question of the run. In one thread at a time.

        Args:
            questions: the ids of those that wait for one.

        Raises:
            TrialError: if process A does not answer any more.
        """
        try:
            reply = self._reader.next_frame()
        except (OSError, FrameError):  # the same as its end, to a trial
            reply = None
        if reply is None or reply.run != self.run or reply.header.get("id") not in questions:
            raise TrialError(_GONE)
        return reply

    def answer(self, frame: Frame) -> bool:
        """Send the answer to the current run.

        Returns:
            Whether it was sent. If not, it is to be saved, and this process to end.
        """
        with self.sending:
            self._has_answered = True
            try:
                self._sendall(frame.encode())
            except OSError:
                return False
        return True

    def save(self, frame: Frame) -> None:
        """Save the answer in a file that process A looks for when this process has ended.

        Raises:
            OSError: if that cannot be done either.
        """
        data = frame.encode()
        file = _open(str(answer_file(self._directory, self.run)), _NEW, 0o600)
        try:
            while data:
                data = data[_write(file, data) :]
        finally:
            _close(file)
