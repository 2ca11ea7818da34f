"""Process A's side of B: starts evaluators, feeds them, and knows how each of them ended.

    run(frame) ──▶ socket ──▶ B ──▶ socket ──▶ reports, then the answer
                                └─▶ nursery: ENDED ──▶ EvaluatorEnded, once the socket is read to its end

An answer that B managed to send, or to save, counts even if B died right after it. If an evaluator dies
before it has read what it is to run, the next one runs it: one that cannot put back what a trial has
changed ends after its answer. One that sends what no evaluator sends is killed. What B writes meanwhile is on
a pipe of its own, see output.py.

An objective may stop or kill the nursery. One that is gone, or that does not kill, bury or fork an evaluator
in time, is killed with all that descends from it, and the spare one takes its place (nursery_handle.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import select
import signal
import socket
from collections.abc import Callable, Coroutine, Mapping
from types import MappingProxyType
from typing import Any, Final

from sparkopt.worker import nursery, processes
from sparkopt.worker.evaluator_connection import EvaluatorConnection
from sparkopt.worker.evaluator_socket import UNHEARD
from sparkopt.worker.frames import Frame
from sparkopt.worker.nursery_handle import NurseryEndedError, NurseryHandle

_NURSERY_SECONDS: Final = 5.0
"""Seconds that a nursery gets to carry out an order, or to notice that its evaluator has ended."""

_NO_MODULES: Final[Mapping[str, str]] = MappingProxyType({})

_TRIES: Final = 3
"""Number of evaluators in a row that may die before they have read what they are to run."""


class EvaluatorEnded(Exception):
    """The evaluator's process ended without an answer.

    Attributes:
        status: its wait status.
        peak_memory: its largest resident set, in bytes; None if its parent, which would know, went with it.
        fault: what it had sent, if it was killed for that.
    """

    def __init__(self, status: int, peak_memory: int | None) -> None:
        super().__init__(processes.describe_exit(status))
        self.status = status
        self.peak_memory = peak_memory
        self.fault: str | None = None

    @property
    def unheard(self) -> bool:
        """True if it had an answer that it could neither send nor save."""
        return os.WIFEXITED(self.status) and os.WEXITSTATUS(self.status) == UNHEARD

    @property
    def killed(self) -> bool:
        """True if SIGKILL has ended it, which is what Linux ends those with that take too much memory."""
        return os.WIFSIGNALED(self.status) and os.WTERMSIG(self.status) == signal.SIGKILL


class RunCancelled(Exception):
    """The run was cancelled before it had an answer; its evaluator, if it had one, is dead."""


class Supervisor:
    """Keeps one evaluator ready at a time and has it run one thing at a time.

    Used from A's event loop only.

    Args:
        handle: the nurseries, forked before the loop was made.
    """

    def __init__(self, handle: NurseryHandle) -> None:
        self._handle = handle
        self._output = handle.output
        self._output.start()
        self._loop = asyncio.get_running_loop()
        self._pid: int | None = None
        self._evaluator: EvaluatorConnection | None = None
        self._ready: asyncio.Future[EvaluatorConnection] = self._loop.create_future()
        self._running: EvaluatorConnection | None = None
        self._runs = 0
        self._alive: int | None = None
        self._cancelled = False
        self._connecting: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._limit: asyncio.TimerHandle | None = None
        self._forsaken = False
        self._listen()
        self._order(nursery.FORK)

    @property
    def evaluator(self) -> int | None:
        """The process id of the evaluator that is ready or runs something; None while one is started."""
        return self._pid if self._ready.done() else None

    def close(self) -> None:
        """Stop listening. Whoever made the nurseries buries them."""
        self._stop_watching()
        self._done_in_time()
        self._pid = None
        if not self._forsaken:
            self._loop.remove_reader(self._handle.control)
        self._output.stop()
        for task in self._tasks:
            task.cancel()
        if self._evaluator is not None:
            self._evaluator.abort()
        self._ready.cancel()

    async def run(
        self,
        frame: Frame,
        label: str,
        hear: Callable[[Frame], None],
        modules: Mapping[str, str] = _NO_MODULES,
    ) -> Frame:
        """Have the evaluator answer a frame; a fresh one, if this one has loaded other versions of modules.

        Args:
            frame: to be answered.
            label: the trial's name in the log, in front of each line that it writes.
            hear: takes what else the evaluator says before it answers.
            modules: digests of those that it is about to load, by name.

        Raises:
            EvaluatorEnded: if its process ended without an answer.
            RunCancelled: if :meth:`cancel` was quicker.
            NurseryEndedError: if there is no evaluator to be had any more.
        """
        self._cancelled = False
        await self._output.begin(label)
        try:
            for tries_left in reversed(range(_TRIES)):
                connection = await asyncio.shield(self._ready)
                if modules and not connection.takes_modules(modules):
                    self._retire()
                    connection = await asyncio.shield(self._ready)
                    connection.takes_modules(modules)
                if self._cancelled:
                    raise RunCancelled
                self._running = connection
                self._runs += 1
                try:
                    answer = await connection.ask(
                        Frame(frame.kind, frame.header, frame.payload, self._runs), hear
                    )
                except EvaluatorEnded:
                    if self._cancelled:
                        raise RunCancelled from None
                    if connection.began or not tries_left:
                        raise
                    # It died of what an earlier trial had left in it, before it could read this one.
                else:
                    return answer
            raise AssertionError
        finally:
            self._running = None
            self._output.end()

    def say(self, frame: Frame) -> None:
        """Tell the current evaluator something, if it is still there."""
        if self._running is not None:
            self._running.say(frame)

    def stop_early(self) -> None:
        """Have the current objective stop early: its calls of ``report`` raise from now on."""
        if self._running is not None:
            self._handle.prune_flag.stop(self._runs)

    def _retire(self) -> None:
        """Have the nursery kill the current evaluator. Later runs wait for the next one."""
        if self._ready.done():
            self._ready = self._loop.create_future()
            self._order(nursery.KILL)

    def cancel(self) -> None:
        """End the current run: its evaluator is killed, and the next one started."""
        self._cancelled = True
        if self._running is not None:
            self._retire()

    # The nursery.

    def _listen(self) -> None:
        self._handle.control.setblocking(False)
        self._loop.add_reader(self._handle.control, self._on_report)

    def _order(self, order: bytes) -> None:
        """Have the nursery fork or kill, within a limit."""
        # An order is one byte and at most a few are ever under way: the socket cannot be full.
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self._handle.control.send(order)
        self._done_in_time()
        self._limit = self._loop.call_later(_NURSERY_SECONDS, self._on_limit)

    def _done_in_time(self) -> None:
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _on_limit(self) -> None:
        readable, _, _ = select.select([self._handle.control], [], [], 0)
        if readable:
            # It was this process that had no time: what the nursery said is about to be heard.
            self._limit = self._loop.call_later(_NURSERY_SECONDS, self._on_limit)
        else:
            self._replace_nursery()

    def _on_report(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._handle.control, nursery.REPORT.size, 1)
        except ConnectionResetError:  # it has died with an order unread
            data = b""
        if not data:
            self._replace_nursery()
            return
        kind, pid, status, peak_kib = nursery.REPORT.unpack(data)
        if kind in (nursery.SPARED, nursery.STARTED) and not fds:
            # The kernel drops a socket for which this process has no descriptor left.
            self._stop_watching()
            self._done_in_time()
            self._loop.remove_reader(self._handle.control)
            self._give_up("it can open no more descriptors, and so cannot reach the next evaluator")
        elif kind == nursery.SPARED:
            self._handle.put_spare(pid, socket.socket(fileno=fds[0]))
        elif kind == nursery.STARTED:
            self._done_in_time()
            self._pid = pid
            self._connecting = self._spawn(self._connect(pid, socket.socket(fileno=fds[0])))
        elif pid == self._pid:
            self._stop_watching()
            self._done_in_time()
            self._pid = None
            self._spawn(self._replace(EvaluatorEnded(status, peak_kib * 1024)))

    def _replace_nursery(self) -> None:
        """Replace a nursery that is gone, or that does not obey, by the spare one."""
        self._stop_watching()
        self._done_in_time()
        self._loop.remove_reader(self._handle.control)
        evaluator, self._pid = self._pid, None
        if not self._handle.replace(evaluator):
            self._give_up(
                "the process that starts its evaluators is gone or does nothing any more, and so is the spare"
                " one"
            )
            return
        self._listen()
        self._order(nursery.SPARE)
        if evaluator is None:
            self._order(nursery.FORK)
        else:
            self._spawn(self._replace(EvaluatorEnded(signal.SIGKILL, None)))

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _connect(self, pid: int, sock: socket.socket) -> None:
        sock.setblocking(False)
        _, connection = await self._loop.create_connection(
            lambda: EvaluatorConnection(self._handle.directory, self._retire), sock=sock
        )
        self._evaluator = connection
        self._ready.set_result(connection)
        connection.closed.add_done_callback(lambda _: self._on_hangup(pid))

    def _on_hangup(self, pid: int) -> None:
        """End an evaluator that has hung up, unless it lives and runs a trial: it saves its answer then."""
        if pid != self._pid:
            return
        self._alive = _watch(pid) if self._running is not None else None
        if self._alive is None:
            self._order(nursery.KILL)
        else:
            self._loop.add_reader(self._alive, self._on_hangup_and_end)

    def _on_hangup_and_end(self) -> None:
        """Have the nursery say so in time."""
        self._stop_watching()
        self._order(nursery.KILL)

    def _stop_watching(self) -> None:
        if self._alive is not None:
            self._loop.remove_reader(self._alive)
            os.close(self._alive)
            self._alive = None

    async def _replace(self, ended: EvaluatorEnded) -> None:
        assert self._connecting is not None
        await self._connecting
        connection = self._evaluator
        assert connection is not None
        if self._ready.done():
            self._ready = self._loop.create_future()
        self._order(nursery.FORK)
        await connection.closed
        ended.fault = connection.fault
        connection.end(ended)

    def _give_up(self, why: str) -> None:
        self._forsaken = True
        error = NurseryEndedError(why)
        if self._evaluator is not None:
            self._evaluator.end(error)
        if self._ready.done():
            self._ready = self._loop.create_future()
        self._ready.set_exception(error)
        self._ready.exception()


def _watch(pid: int) -> int | None:
    """A descriptor that is readable when the process ends; None if it has ended, or the system has none."""
    try:
        return os.pidfd_open(pid)
    except (AttributeError, OSError):
        return None
