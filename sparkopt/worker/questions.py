"""Reports and requests of one attempt, on their way between its evaluator and the driver.

    REPORT ──▶ take ──▶ pushed, if large ──▶ outbox ──▶ when there is room for the next ──▶ REPORTED
    REQUEST ─▶ take ──▶ pushed, if large ──▶ outbox ──▶ the driver ──▶ answer ──▶ fetched, if large ──▶ REPLY

The evaluator has one report and one request in each lane under way, and none of them waits for another.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from pathlib import Path
from typing import Any, Final

from sparkopt.errors import StorageError
from sparkopt.wire import lanes
from sparkopt.wire.convert import from_report_kind
from sparkopt.wire.lanes import Lane
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2
from sparkopt.worker.frames import Frame, Kind
from sparkopt.worker.outbox import Outbox

_LOAD: Final = lanes.method(Lane.CHECKPOINT, lanes.LOAD)


class Questions:
    """Questions of an attempt's evaluator that it waits to have answered. Made with the first of them.

    Attributes:
        load_checkpoint: whether one of them is for the trial's checkpoint.

    Args:
        attempt: the attempt that asks them.
        outbox: takes them to the coordinator.
        say: takes what the evaluator is told.
        payload: returns what a frame carries, pushed if it is large.
        fetch: fetches a large reply into a file.
        on_done: called with each task that has ended, whichever way.
    """

    def __init__(
        self,
        attempt: trial_pb2.Attempt,
        outbox: Outbox,
        say: Callable[[Frame], None],
        payload: Callable[[Frame], Awaitable[trial_pb2.Payload]],
        fetch: Callable[[trial_pb2.Blob], Awaitable[Path]],
        on_done: Callable[[asyncio.Task[None]], None],
    ) -> None:
        self.load_checkpoint = False
        self._loop = asyncio.get_running_loop()
        self._attempt = attempt
        self._outbox = outbox
        self._say = say
        self._payload = payload
        self._fetch = fetch
        self._on_done = on_done
        self._sending: set[asyncio.Task[None]] = set()
        self._answering: set[asyncio.Task[None]] = set()
        self._unanswered: set[int] = set()
        self._waits_for_room: int | None = None
        self._files: list[Path] = []

    def take(self, question: Frame) -> None:
        """Take a report or a request from the evaluator."""
        send = self._request if question.kind is Kind.REQUEST else self._report
        self._begin(send(question), self._sending)

    def answer(self, reply: trial_pb2.Reply) -> None:
        """Hand a reply on, unless it came before a cut, and now again."""
        if reply.attempt == self._attempt and reply.id in self._unanswered:
            self._unanswered.remove(reply.id)
            self._begin(self._pass_on(reply), self._answering)

    def look_for_room(self) -> None:
        """Let the objective go on after its report, if there is room for the next by now."""
        number = self._waits_for_room
        if number is not None and self._outbox.has_room(self._attempt.study):
            self._waits_for_room = None
            self._say(Frame(Kind.REPORTED, {"id": number}))

    async def sent(self) -> None:
        """Wait until the outbox has all that was taken."""
        if self._sending:
            await asyncio.gather(*self._sending)

    def close(self) -> None:
        """The attempt has ended: answer nothing more, and remove replies that nobody has read."""
        for task in (*self._sending, *self._answering):
            task.cancel()
        for path in self._files:
            path.unlink(missing_ok=True)

    def _begin(self, work: Coroutine[Any, Any, None], tasks: set[asyncio.Task[None]]) -> None:
        task = self._loop.create_task(work)
        tasks.add(task)
        task.add_done_callback(tasks.discard)
        task.add_done_callback(self._on_done)

    async def _report(self, frame: Frame) -> None:
        number = frame.header["id"]
        try:
            body = await self._payload(frame)
        except StorageError as error:
            self._say(Frame(Kind.REPORTED, {"id": number, "error": str(error)}))
            return
        report = trial_pb2.Report(
            attempt=self._attempt,
            kind=from_report_kind(ReportKind(frame.header["report"])),
            name=frame.header["name"],
            body=body,
        )
        self._outbox.put_report(report)
        self._waits_for_room = number
        self.look_for_room()

    async def _request(self, frame: Frame) -> None:
        number, method = frame.header["id"], frame.header["method"]
        self.load_checkpoint = self.load_checkpoint or method == _LOAD
        try:
            body = await self._payload(frame)
        except StorageError as error:
            self._say(Frame(Kind.REPLY, {"id": number, "failure": str(error)}))
            return
        self._unanswered.add(number)
        request = trial_pb2.Request(attempt=self._attempt, id=number, method=method, body=body)
        self._outbox.put_request(request)

    async def _pass_on(self, reply: trial_pb2.Reply) -> None:
        header: dict[str, Any] = {"id": reply.id}
        if reply.HasField("failure"):
            header["failure"] = reply.failure.message
        elif reply.body.HasField("blob"):
            try:
                path = await self._fetch(reply.body.blob)
            except StorageError as error:
                header["failure"] = str(error)
            else:
                self._files.append(path)
                header["file"] = str(path)
        self._say(Frame(Kind.REPLY, header, reply.body.inline))
