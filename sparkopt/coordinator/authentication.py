"""The token on every call, checked before anything of the request is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, NoReturn, TypeAlias

import grpc

from sparkopt.wire.tokens import is_authorized

_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Answers calls without the right token with UNAUTHENTICATED.

    Args:
        token: what every call must carry.
    """

    def __init__(self, token: str) -> None:
        self._token = token
        self._refusal: _Handler = grpc.stream_stream_rpc_method_handler(_refuse)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Pass the call on, or put the refusal in its place."""
        if is_authorized(handler_call_details.invocation_metadata, self._token):
            return await continuation(handler_call_details)
        return self._refusal


async def _refuse(_requests: object, context: grpc.aio.ServicerContext[Any, Any]) -> NoReturn:
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "a call needs the pool's token in its metadata")
    raise AssertionError("abort raises")
