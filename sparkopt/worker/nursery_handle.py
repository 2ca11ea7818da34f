"""Process A's handle on its nurseries: the one that serves, and the spare one that takes its place.

    A forks both as it starts, before it loads grpc:     serving ──▶ evaluators
                                                         spare
    the serving one is killed, or does not do its work:  spare   ──▶ the next spare; evaluators

A process in which grpc has started cannot be forked. So the spare one forks the next spare, before it
forks an evaluator.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from sparkopt.worker import descriptors, nursery, processes
from sparkopt.worker.evaluator import Evaluator
from sparkopt.worker.evaluator_socket import EvaluatorSocket
from sparkopt.worker.output import Output
from sparkopt.worker.prune_flag import PruneFlag
from sparkopt.worker.streams import Streams

_BURIAL_SECONDS: Final = 5.0
"""Seconds that a nursery gets to kill its descendants before process A kills them."""


class NurseryEndedError(Exception):
    """This process can run nothing more: the nurseries are gone, or what they start cannot be reached."""


@dataclass(slots=True)
class _Line:
    """A nursery's pid, and A's end of the socket to it."""

    pid: int
    control: socket.socket


class NurseryHandle:
    """The nurseries as A sees them, and what evaluators write. Made before the event loop and before grpc.

    Args:
        directory: where evaluators put payloads that are too large for their socket.

    Attributes:
        directory: as given.
        output: what evaluators write.
        prune_flag: shared with evaluators.
    """

    def __init__(self, directory: Path) -> None:
        output, output_writer = os.pipe()
        prune_flag = PruneFlag()

        def evaluate(sock: socket.socket) -> None:
            streams, home = Streams(output_writer), EvaluatorSocket(sock, directory)
            descriptors.let_go_of_all_but({*streams.descriptors, home.descriptor})
            Evaluator(home, directory, streams, prune_flag).serve()

        forked: list[_Line] = []
        for _ in range(2):
            ours, theirs = socket.socketpair()

            def child(ours: socket.socket = ours, theirs: socket.socket = theirs) -> None:
                # A nursery learns from its socket that A has ended: no other process may hold A's end open.
                for sock in (ours, *(line.control for line in forked)):
                    sock.close()
                descriptors.let_go_of_all_but({*descriptors.STANDARD, theirs.fileno(), output_writer})
                nursery.Nursery(theirs, evaluate).run()

            forked.append(_Line(processes.fork(child), ours))
            theirs.close()
        os.close(output_writer)
        self._serving = forked[0]
        self._spare: _Line | None = forked[1]
        self.directory = directory
        self.output = Output(output)
        self.prune_flag = prune_flag

    @property
    def control(self) -> socket.socket:
        """The socket to the nursery that serves."""
        return self._serving.control

    @property
    def has_spare(self) -> bool:
        """True if there is a spare to take the place of the serving nursery."""
        return self._spare is not None

    def put_spare(self, pid: int, control: socket.socket) -> None:
        """Keep the spare that the serving nursery has forked, unless there still is one."""
        if self._spare is None:
            self._spare = _Line(pid, control)
        else:
            control.close()

    def replace(self, evaluator: int | None) -> bool:
        """Kill the serving nursery and all its descendants, whatever state they are in; let the spare serve.

        Args:
            evaluator: the pid of its evaluator, if it has one.

        Returns:
            True if the spare serves now; False if there was none.
        """
        self._serving.control.close()
        # The evaluator first: while its parent lives, only that can reap it, so its pid is not used again.
        if evaluator is not None and _is_child(self._serving.pid):
            processes.kill(evaluator)
        _end(self._serving.pid)
        # On Linux A has adopted what is left; elsewhere the group is all that there is to go by.
        processes.bury_children(keep=() if self._spare is None else (self._spare.pid,))
        if self._spare is None:
            return False
        self._serving, self._spare = self._spare, None
        return True

    def bury(self) -> None:
        """Have the nurseries kill their descendants and end, or kill them; pass on the last output."""
        lines = [self._serving, *([self._spare] if self._spare is not None else [])]
        for line in lines:
            with contextlib.suppress(OSError):  # it is closed, or its other end is
                line.control.shutdown(socket.SHUT_WR)
            with contextlib.suppress(ProcessLookupError):
                os.kill(line.pid, signal.SIGCONT)
        for line in lines:
            _wait_for_the_end(line.control)
            line.control.close()
            _end(line.pid)
        processes.bury_children()  # there are some only if a nursery did not do its work
        self.output.close()


def _is_child(pid: int) -> bool:
    """Returns whether a process is a child of this one that runs, or is stopped."""
    try:
        return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None
    except ChildProcessError:
        return False


def _end(pid: int) -> None:
    """Kill and reap a nursery, unless it has been reaped before."""
    if _is_child(pid):
        os.kill(pid, signal.SIGKILL)
    with contextlib.suppress(ChildProcessError):
        os.waitpid(pid, 0)


def _wait_for_the_end(control: socket.socket) -> None:
    """Wait until the other end is closed, for :data:`_BURIAL_SECONDS` at most."""
    if control.fileno() == -1:
        return
    control.settimeout(_BURIAL_SECONDS)
    with contextlib.suppress(OSError):
        while control.recv(4096):
            pass
