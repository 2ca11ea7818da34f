"""What every call has to observe, whatever its service.

    how many streams a peer has open    RESOURCE_EXHAUSTED (TOO_MANY_STREAMS)
    messages that can be read           INVALID_ARGUMENT
    a request, if it is to have one     DEADLINE_EXCEEDED (NOTHING_SENT) if it does not come

gRPC would answer the second with UNKNOWN, and wait for the third for as long as the client likes.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, TypeAlias, TypeVar

import grpc
from google.protobuf.message import DecodeError

from sparkopt.coordinator.peers import Peers
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
        what: is expected, in words.

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


class CallsInterceptor(grpc.aio.ServerInterceptor):
    """Puts itself between gRPC and the handlers of a server.

    Args:
        peers: counts the streams.
    """

    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Have the call looked at before it is handled."""
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        behaviour = (
            handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
        )
        counted = handler.request_streaming or handler.response_streaming
        guarded = self._guarded(behaviour, handler.request_streaming, counted)
        # To gRPC the request is a stream in any case: only so can we say how long to wait for it.
        kind = (
            grpc.stream_stream_rpc_method_handler
            if handler.response_streaming
            else grpc.stream_unary_rpc_method_handler
        )
        return kind(guarded, _reading(handler.request_deserializer), handler.response_serializer)

    def _guarded(self, behaviour: Any, request_streaming: bool, counted: bool) -> Any:
        async def begin(requests: AsyncIterator[Any], context: _Context) -> Any:
            if counted:
                self._peers.open_stream(context)
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


def _reading(deserialize: Callable[[bytes], T] | None) -> Callable[[bytes], T] | None:
    if deserialize is None:
        return None

    def read(data: bytes) -> T:
        try:
            return deserialize(data)
        except DecodeError as error:
            raise BadRequestError(f"the message cannot be read: {error}", "BAD_MESSAGE") from None

    return read
