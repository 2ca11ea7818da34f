"""The parent of evaluators: forks them, tells A when one ended, and buries what they leave.

It is forked before anything starts a thread or loads grpc, does nothing but wait, and keeps no state but
the pid of the current evaluator, so that it can fork for as long as the worker lives.

    A ──▶ nursery   SPARE, FORK, KILL              over a socket of its own; if that closes, A has ended
    A ◀── nursery   SPARED pid (with that one's socket), STARTED pid (with B's socket),
                    ENDED pid, wait status, peak memory

An objective may stop or kill the nursery, which is its parent. A has another one then, a spare that no
evaluator descends from. Before the spare forks an evaluator, it forks the next spare and hands it to A.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
from collections.abc import Callable
from typing import Final

from sparkopt.worker import processes

SPARE: Final = b"N"
FORK: Final = b"F"
KILL: Final = b"K"

SPARED: Final = b"N"
STARTED: Final = b"S"
ENDED: Final = b"E"
REPORT: Final = struct.Struct("!cqqq")
"""Message of the nursery: SPARED, STARTED or ENDED, a pid, a wait status, and the peak resident memory in
KiB."""


class Nursery:
    """The loop of the nursery's process.

    Args:
        control: the socket to A.
        evaluate: what an evaluator does with its socket to A, until that closes.
    """

    def __init__(self, control: socket.socket, evaluate: Callable[[socket.socket], None]) -> None:
        self._control = control
        self._evaluate = evaluate
        self._evaluator: int | None = None
        self._wakeup, self._wakeup_writer = os.pipe()

    def run(self) -> None:
        """Serve A until it is gone, then kill and reap every descendant."""
        os.setsid()
        processes.wake_with_parent()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        os.set_blocking(self._wakeup_writer, False)
        signal.set_wakeup_fd(self._wakeup_writer)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        try:
            while self._serve():
                pass
        finally:
            if self._evaluator is not None:
                processes.end_child(self._evaluator)
            processes.bury_children()

    def _serve(self) -> bool:
        readable, _, _ = select.select([self._control.fileno(), self._wakeup], [], [])
        if self._wakeup in readable:
            os.read(self._wakeup, 4096)
            self._reap()
        if self._control.fileno() in readable:
            try:
                orders = self._control.recv(64)
            except ConnectionResetError:  # A went without reading the last report
                return False
            if not orders:
                return False
            for order in orders:
                if order == SPARE[0]:
                    self._fork_spare()
                elif order == FORK[0] and self._evaluator is None:
                    self._fork()
                elif order == KILL[0] and self._evaluator is not None:
                    processes.kill(self._evaluator)
        return True

    def _fork_spare(self) -> None:
        """Fork the nursery that A takes after this one, as a child of A: it is to outlive this one."""
        ours, theirs = socket.socketpair()
        number, number_writer = os.pipe()

        def spare() -> None:
            for sock in (ours, self._control):
                sock.close()
            for descriptor in (number, number_writer, self._wakeup, self._wakeup_writer):
                os.close(descriptor)
            Nursery(theirs, self._evaluate).run()

        def middle() -> None:
            # Its end makes its child one of A's, as this process adopts nobody yet.
            os.write(number_writer, str(processes.fork(spare)).encode())

        os.waitpid(processes.fork(middle), 0)
        os.close(number_writer)
        pid = int(os.read(number, 100))
        os.close(number)
        theirs.close()
        self._say(SPARED, pid, sock=ours)

    def _fork(self) -> None:
        processes.adopt_orphans()
        ours, theirs = socket.socketpair()
        nursery = os.getpid()

        def evaluator() -> None:
            processes.lead_group(os.getpid())
            processes.die_with_parent(nursery)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            ours.close()
            self._control.close()
            os.close(self._wakeup)
            os.close(self._wakeup_writer)
            self._evaluate(theirs)

        self._evaluator = processes.fork(evaluator)
        processes.lead_group(self._evaluator)
        theirs.close()
        self._say(STARTED, self._evaluator, sock=ours)

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self._evaluator:
                self._evaluator = None
                processes.kill_group(pid)
                processes.bury_children()
                self._say(ENDED, pid, status, usage.ru_maxrss)

    def _say(
        self, what: bytes, pid: int, status: int = 0, peak: int = 0, *, sock: socket.socket | None = None
    ) -> None:
        """Send A a report, and a socket, which is A's from then on."""
        report = REPORT.pack(what, pid, status, peak)
        with contextlib.suppress(BrokenPipeError):  # A may have gone meanwhile
            if sock is None:
                self._control.sendall(report)
            else:
                socket.send_fds(self._control, [report], [sock.fileno()])
        if sock is not None:
            sock.close()
