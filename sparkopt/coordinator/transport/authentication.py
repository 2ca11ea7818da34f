"""The token on every call, checked before anything of the request is read."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn, TypeAlias

import grpc

from sparkopt.coordinator.transport.calls import Calls
from sparkopt.coordinator.transport.peers import Peers
from sparkopt.errors import LimitExceededError, NotAuthorizedError
from sparkopt.wire.statuses import READ_ONLY, status_of
from sparkopt.wire.tokens import HEADER, is_authorized

_Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
_Handler: TypeAlias = "grpc.RpcMethodHandler[Any, Any]"


@dataclass(frozen=True, slots=True)
class Grant:
    """Rights of a token.

    Attributes:
        token: what a call carries.
        calls: full names of calls (``/package.Service/Call``) or of services (``/package.Service/``); None
            for all.
    """

    token: str = field(repr=False)
    calls: frozenset[str] | None = None

    @property
    def is_full(self) -> bool:
        """True if the token is good for every call."""
        return self.calls is None

    def allows(self, call: str) -> bool:
        """Returns whether the token is good for a call, of this full name."""
        service = call[: call.rfind("/") + 1]
        return self.calls is None or call in self.calls or service in self.calls


class TokenInterceptor(grpc.aio.ServerInterceptor):
    """Refuses calls that carry no token, or one that is not good for them.

    UNAUTHENTICATED (NO_TOKEN, WRONG_TOKEN) or PERMISSION_DENIED (READ_ONLY). A peer that has made too many
    calls of the first kind gets RESOURCE_EXHAUSTED (TOO_MANY_FAILURES) for a while. Its calls with a right
    token come through all the same.

    Args:
        grants: the tokens.
        peers: counts the failures.
        calls: what every other call has to observe.
    """

    def __init__(self, grants: Sequence[Grant], peers: Peers, calls: Calls) -> None:
        self._grants = grants
        self._peers = peers
        self._calls = calls
        no_token = NotAuthorizedError(
            "the call has no token: send `authorization: Bearer TOKEN` in its metadata", "NO_TOKEN"
        )
        wrong = NotAuthorizedError(
            "the call's token is not valid here: each pool has tokens of its own", "WRONG_TOKEN"
        )
        looks_only = NotAuthorizedError(
            "the call's token is read-only, and this call needs the control token", READ_ONLY
        )
        self._no_token = self._refusal(no_token, counts=True)
        self._wrong_token = self._refusal(wrong, counts=True)
        self._read_only = self._refusal(looks_only, counts=False)

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[_Handler | None]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> _Handler | None:
        """Pass the call on, or put the refusal in its place."""
        metadata = handler_call_details.invocation_metadata or ()
        # Each is looked at, whichever is right: how long it takes says nothing.
        granted = [grant for grant in self._grants if is_authorized(metadata, grant.token)]
        if not granted:
            given = any(key == HEADER for key, _ in metadata)
            return self._wrong_token if given else self._no_token
        if not granted[0].allows(handler_call_details.method):
            return self._read_only
        handler = await continuation(handler_call_details)
        if handler is None:
            return None
        return self._calls.guarded(handler, handler_call_details.method, granted[0].is_full)

    def _refusal(self, error: NotAuthorizedError, *, counts: bool) -> _Handler:
        async def refuse(_requests: object, context: _Context) -> NoReturn:
            refused: NotAuthorizedError | LimitExceededError = error
            try:
                if counts:
                    self._peers.failed(context)
            except LimitExceededError as exceeded:
                refused = exceeded
            await context.abort(*status_of(refused))
            raise AssertionError("abort raises")

        return grpc.stream_stream_rpc_method_handler(refuse)
