"""The Evaluate call: one client's stream of points in and answers out, with back-pressure both ways.

    client ──▶ read ──▶ EvaluatedStudy.ask           no more is read while `window` points are owed or unsent
    client ◀── write ◀── unsent ◀── settle, answer, reject; the newest value of each point that runs

A client that does not read leaves its answers unsent, and so is not read from, until it reads again; the
study and its other streams go on. What has been read is evaluated whatever becomes of the stream.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final, TypeAlias

import grpc

from sparkopt.control.evaluations import EvaluatedStudy, Evaluations
from sparkopt.control.kept_answers import Point
from sparkopt.errors import BadRequestError, LimitExceededError
from sparkopt.wire.limits import MESSAGE_BYTES
from sparkopt.wire.statuses import NOTHING_SENT
from sparkopt.wire.v1 import control_pb2

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Requests: TypeAlias = "AsyncIterator[control_pb2.EvaluateRequest]"

WINDOW_HEADER: Final = "sparkopt-window"
"""The initial metadata that say how many points a stream may have without an answer."""


def window(parallelism: int) -> int:
    """Most points that a stream may have without an answer: enough for it to keep all workers busy alone."""
    return max(64, 4 * parallelism)


async def evaluate(evaluations: Evaluations, requests: Requests, context: Context) -> None:
    """Converse with one client; see control.proto.

    Args:
        evaluations: the studies that it may mean.
        requests: what it says.
        context: of the call.

    Raises:
        ControlError: what the stream ends with.
    """
    most = window(evaluations.parallelism)
    await context.send_initial_metadata(((WINDOW_HEADER, str(most)),))
    incoming = aiter(requests)
    try:
        first = await asyncio.wait_for(_next(incoming), evaluations.silence)
    except asyncio.TimeoutError:
        raise LimitExceededError(
            f"the stream has sent nothing for {evaluations.silence:g} s", NOTHING_SENT
        ) from None
    if first is None:
        return
    study = evaluations.to_ask(first.study)
    asker = EvaluateStream(most, first.values)
    study.join(asker)
    reader = asyncio.create_task(asker.read(study, first, incoming))
    try:
        await asker.write(study, context)
    finally:
        reader.cancel()
        study.leave(asker)


async def _next(incoming: Requests) -> control_pb2.EvaluateRequest | None:
    """The next request; None if the client has closed its side."""
    return await anext(incoming, None)


class EvaluateStream:
    """A stream that points come from, and that is owed their answers.

    Attributes:
        waiting: those of its points that are not trials yet.
        owed: those that it is to be told of.
        wants_values: whether it is to be told of intermediate values.

    Args:
        most: how many points it may have without an answer.
        wants_values: see above.
    """

    def __init__(self, most: int, wants_values: bool = False) -> None:
        self.wants_values = wants_values
        self._values: dict[Point, control_pb2.EvaluateResponse] = {}
        self.waiting: deque[Point] = deque()
        self.owed: dict[Point, None] = {}
        self._most = most
        self._unsent: deque[Point | control_pb2.EvaluateResponse] = deque()
        self._bytes = 0
        self._news = asyncio.Event()
        self._room = asyncio.Event()
        self._closed = False
        self._dropped = False
        self._failure: Exception | None = None
        self._patient = True

    # What a study tells it.

    def owe(self, point: Point) -> None:
        """There will be an answer to this point."""
        self.owed[point] = None
        self._bytes += point.size

    def release(self, point: Point, dropped: bool = False) -> None:
        """There will be no answer to this point: another stream gets it, or the point was dropped."""
        del self.owed[point]
        self._values.pop(point, None)
        self._bytes -= point.size
        self._dropped |= dropped
        self._room.set()
        self._news.set()

    def drop(self) -> None:
        """There will be no answer to a point that was never owed one."""
        self._dropped = True
        self._news.set()

    def put_value(self, point: Point, value: control_pb2.EvaluateResponse) -> None:
        """Send the newest intermediate value of a point that is owed; one that is unsent is out of date."""
        self._values[point] = value
        self._news.set()

    def settle(self, point: Point) -> None:
        """This is the answer that is owed."""
        del self.owed[point]
        self._send(point)

    def answer(self, point: Point) -> None:
        """This point has its answer already."""
        self._bytes += point.size
        self._send(point)

    def reject(self, answer: control_pb2.EvaluateResponse) -> None:
        """Answer a request whose point was rejected."""
        self._send(answer)

    def fail(self, error: Exception, when_answered: bool = False) -> None:
        """End with an error: once what is unsent is out, or once nothing is owed any more."""
        self._failure, self._patient = error, when_answered
        self._news.set()

    def unsent(self) -> Iterator[Point]:
        """The points whose answers are not out."""
        return (each for each in self._unsent if isinstance(each, Point))

    def _send(self, answer: Point | control_pb2.EvaluateResponse) -> None:
        self._unsent.append(answer)
        self._news.set()

    # The call.

    async def read(self, study: EvaluatedStudy, first: control_pb2.EvaluateRequest, rest: Requests) -> None:
        """Have a study evaluate what the client asks for, as long as there is room for its answers."""
        request: control_pb2.EvaluateRequest | None = first
        try:
            while request is not None and not study.stopping:
                if request.study not in ("", first.study, study.name):
                    raise BadRequestError(
                        f"this stream is about {study.name}, and a request names {request.study!r}: open"
                        " another stream for it",
                        "OTHER_STUDY",
                        "study",
                    )
                await study.ask(self, request)
                while len(self.owed) + len(self._unsent) >= self._most or self._bytes >= MESSAGE_BYTES:
                    self._room.clear()
                    await self._room.wait()
                request = await _next(rest)
            self._closed = request is None
            self._news.set()
        except Exception as error:  # noqa: BLE001 - the call ends with it
            self.fail(error)

    async def write(self, study: EvaluatedStudy, context: Context) -> None:
        """Send the answers, until the client has closed its side and has all of them.

        Raises:
            ControlError: what the stream ends with otherwise.
        """
        unsent = self._unsent
        while True:
            while unsent or self._values:
                if unsent:
                    answer = unsent[0]
                    if isinstance(answer, Point) and (value := self._values.pop(answer, None)) is not None:
                        await context.write(value)  # a point's values come before its answer
                    await context.write(await _message(answer) if isinstance(answer, Point) else answer)
                    unsent.popleft()
                    if isinstance(answer, Point):
                        self._bytes -= answer.size
                        study.sent(answer)
                    self._room.set()
                if self._values:
                    await context.write(self._values.pop(next(iter(self._values))))
            if self._closed and not self.owed and not self._dropped:
                return
            if self._failure is not None and not (self._patient and self.owed):
                raise self._failure
            self._news.clear()
            await self._news.wait()


async def _message(point: Point) -> control_pb2.EvaluateResponse:
    """A point's answer, with the result that is in a file, if it is in one."""
    message = point.message()
    if point.file is None:
        return message
    whole = control_pb2.EvaluateResponse()
    whole.CopyFrom(message)
    loop = asyncio.get_running_loop()
    result = await loop.run_in_executor(None, point.file.read_bytes)
    whole.evaluation.result = result.decode("ascii", "replace")
    return whole
