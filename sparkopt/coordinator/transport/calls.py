"""Limits that every call observes, whatever its service.

    a peer's streams                    RESOURCE_EXHAUSTED (TOO_MANY_STREAMS)
    a peer's calls under way            wait for their turn; RESOURCE_EXHAUSTED (TOO_MANY_CALLS)
    a message's size                    RESOURCE_EXHAUSTED (TOO_LARGE), before it is read
    a message that can be read          INVALID_ARGUMENT (BAD_MESSAGE)
    a request, where one is expected    DEADLINE_EXCEEDED (NOTHING_SENT) if it does not come

gRPC has one size for all calls of a server, would answer the fourth with UNKNOWN, and wait for the fifth for
as long as the client likes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError

from sparkopt.coordinator.transport.connections import Connections
from sparkopt.coordinator.transport.peers import Peers
from sparkopt.coordinator.transport.service_limits import ServiceLimits
from sparkopt.errors import BadRequestError, LimitExceededError
from sparkopt.wire import limits
from sparkopt.wire.statuses import NOTHING_SENT, status_of

T = TypeVar("T")

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"

_REFUSALS: Final = (LimitExceededError, BadRequestError)


async def first_of(requests: AsyncIterator[T], what: str) -> T | None:
    """The first message of a stream; None if it ends without one.

    Args:
        requests: the stream.
        what: the name of the message that is expected.

    Raises:
        LimitExceededError: if it does not come in time (NOTHING_SENT).
    """

    async def receive() -> T | None:
        return await anext(aiter(requests), None)

    seconds = limits.FIRST_MESSAGE_SECONDS
    try:
        return await asyncio.wait_for(receive(), seconds)
    except asyncio.TimeoutError:
        raise LimitExceededError(f"no {what} came within {seconds:g} s", NOTHING_SENT) from None


class Calls:
    """Wraps the handlers of a server, so that limits apply before a handler is called.

    Args:
        limits: of the service.
        peers: counts streams and calls.
        connections: hears of every call.
    """

    def __init__(self, limits: ServiceLimits, peers: Peers, connections: Connections) -> None:
        self._limits = limits
        self._peers = peers
        self._connections = connections

    def guarded(self, handler: _Handler, call: str, full: bool) -> _Handler:
        """Wrap the handler of a call that has a right token, so that the service's limits apply to the call.

        Args:
            handler: of the service.
            call: its full name.
            full: whether the token is good for everything.
        """
        behaviour = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
        streams = handler.request_streaming or handler.response_streaming
        most = self._limits.bytes_of(call)
        deserialize = None if call in self._limits.unread else _reading(handler.request_deserializer)
        counted = streams or call in self._limits.patient
        guarded = self._guarded(behaviour, counted, handler.request_streaming, full)
        # To gRPC the request is a stream in any case: only so can we say how long to wait for it.
        kind = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return kind(guarded, _measured(deserialize, most), handler.response_serializer)

    def _guarded(self, behaviour: Any, counted: bool, request_streaming: bool, full: bool) -> Any:
        async def begin(requests: AsyncIterator[Any], context: _Context) -> Any:
            self._connections.authorized(context.peer(), full)
            if counted:
                self._peers.open_stream(context, full)
            else:
                await self._peers.begin_call(context, full)
                _end_in_time(context)
            if request_streaming:
                return requests
            request = await first_of(requests, "request")
            if request is None:
                raise BadRequestError("the call has no request", "BAD_MESSAGE")
            return request

        if inspect.isasyncgenfunction(behaviour):

            async def generate(requests: AsyncIterator[Any], context: _Context) -> AsyncIterator[Any]:
                try:
                    async for response in behaviour(await begin(requests, context), context):
                        yield response
                except _REFUSALS as error:
                    await context.abort(*status_of(error))

            return generate

        async def answer(requests: AsyncIterator[Any], context: _Context) -> Any:
            try:
                return await behaviour(await begin(requests, context), context)
            except _REFUSALS as error:
                return await context.abort(*status_of(error))

        return answer


def _end_in_time(context: _Context) -> None:
    """Have a call end that its client keeps from ending, by not reading the answer."""
    task = asyncio.current_task()
    assert task is not None
    timer = asyncio.get_running_loop().call_later(limits.CALL_SECONDS, task.cancel)

    def ended(_context: _Context) -> None:
        timer.cancel()

    context.add_done_callback(ended)  # type: ignore[arg-type]  # of the stubs, no function is a callback


def _measured(deserialize: Callable[[bytes], T] | None, most: int) -> Callable[[bytes], T | bytes]:
    """Reads messages that are not too large, and refuses the others unread."""

    def read(data: bytes) -> T | bytes:
        if len(data) > most:
            raise LimitExceededError(
                f"the message has {len(data):,} bytes; this call takes at most {most:,}", "TOO_LARGE"
            )
        return data if deserialize is None else deserialize(data)

    return read


def _reading(deserialize: Callable[[bytes], T] | None) -> Callable[[bytes], T] | None:
    if deserialize is None:
        return None

    def read(data: bytes) -> T:
        try:
            return deserialize(data)
        except DecodeError as error:
            raise BadRequestError(f"the message cannot be read: {error}", "BAD_MESSAGE") from None

    return read
