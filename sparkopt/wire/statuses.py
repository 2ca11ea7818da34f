"""Exceptions and gRPC statuses: which is which, both ways, for every service of ours.

    server   exception ──▶ status_of ──▶ code, message, details in the trailing metadata
    client   control_error_of ◀── grpc.RpcError

What a control service does not do is a :class:`~sparkopt.errors.ControlError` on both ends. Its reason
travels as google.rpc.ErrorInfo, the field at fault as google.rpc.BadRequest, when to try again as
google.rpc.RetryInfo. A status without them is from a proxy, or from gRPC itself.
"""

from __future__ import annotations

import datetime
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final, NamedTuple, NoReturn, TypeAlias, cast

import grpc
from google.protobuf.message import Message

from sparkopt.errors import (
    BadRequestError,
    BlobNotFoundError,
    ControlError,
    EventsForgottenError,
    ImpostorError,
    LimitExceededError,
    NotAuthorizedError,
    NotFoundError,
    PoolClosedError,
    ProtocolError,
    StorageError,
    StudyStoppedError,
    UnknownWorkerError,
    UnreachableError,
    WrongStateError,
)
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.status_details import details_of, metadata_with, unpacked
from sparkopt.wire.v1.status_pb2 import BadRequest, ErrorInfo, RetryInfo

Context: TypeAlias = "grpc.aio.ServicerContext[Any, Any]"
Metadata: TypeAlias = tuple[tuple[str, str | bytes], ...]

DOMAIN: Final = "sparkopt"
"""Of our ErrorInfo: reasons are unique within it."""

_MESSAGE_BYTES: Final = 1000
"""Most bytes of a status's message, which is sent up to three times, partly as base64."""

READ_ONLY: Final = "READ_ONLY"
"""Reason of an error for a read-only token: PERMISSION_DENIED, where a wrong token is UNAUTHENTICATED."""

NOTHING_SENT: Final = "NOTHING_SENT"
"""The reason for a stream that says nothing: DEADLINE_EXCEEDED, where other limits are RESOURCE_EXHAUSTED."""

_CONTROL: Final[tuple[tuple[type[ControlError], grpc.StatusCode], ...]] = (
    (BadRequestError, grpc.StatusCode.INVALID_ARGUMENT),
    (NotFoundError, grpc.StatusCode.NOT_FOUND),
    (WrongStateError, grpc.StatusCode.FAILED_PRECONDITION),
    (NotAuthorizedError, grpc.StatusCode.UNAUTHENTICATED),
    (LimitExceededError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    (EventsForgottenError, grpc.StatusCode.OUT_OF_RANGE),
    (StudyStoppedError, grpc.StatusCode.ABORTED),
    (UnreachableError, grpc.StatusCode.UNAVAILABLE),
)

_REASONS: Final[dict[str, tuple[type[ControlError], grpc.StatusCode]]] = {
    READ_ONLY: (NotAuthorizedError, grpc.StatusCode.PERMISSION_DENIED),
    NOTHING_SENT: (LimitExceededError, grpc.StatusCode.DEADLINE_EXCEEDED),
}
"""Where the reason decides, rather than the class or the code."""

_FOREIGN: Final[dict[grpc.StatusCode, type[ControlError]]] = {
    **{code: kind for kind, code in _CONTROL},
    grpc.StatusCode.PERMISSION_DENIED: NotAuthorizedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: UnreachableError,
    grpc.StatusCode.CANCELLED: UnreachableError,
}
"""What a client makes of a code alone; of any other a :class:`ControlError`."""

_CODES: Final[tuple[tuple[type[Exception], grpc.StatusCode], ...]] = (
    (ProtocolError, grpc.StatusCode.INVALID_ARGUMENT),
    (BlobNotFoundError, grpc.StatusCode.NOT_FOUND),
    (PoolClosedError, grpc.StatusCode.UNAVAILABLE),
    (UnknownWorkerError, grpc.StatusCode.FAILED_PRECONDITION),
    (ImpostorError, grpc.StatusCode.PERMISSION_DENIED),
    (StorageError, grpc.StatusCode.RESOURCE_EXHAUSTED),
    *_CONTROL,
)


class Status(NamedTuple):
    """Status for an exception: the arguments of ``grpc.aio``'s ``context.abort``."""

    code: grpc.StatusCode
    message: str
    metadata: Metadata = ()


def status_of(error: Exception) -> Status:
    """The status that a caller gets for an exception."""
    if isinstance(error, ControlError) and error.reason in _REASONS:
        return _with_details(_REASONS[error.reason][1], error)
    for kind, code in _CODES:
        if isinstance(error, kind):
            if isinstance(error, ControlError):
                return _with_details(code, error)
            return Status(code, _short(str(error)))
    return Status(grpc.StatusCode.INTERNAL, _short(f"{type(error).__name__}: {error}"))


def _short(message: str) -> str:
    """A message as it fits the trailing metadata, of which clients take 8 KiB."""
    if len(message) <= _MESSAGE_BYTES // 4:
        return message
    data = message.encode("utf-8", "replace")
    if len(data) <= _MESSAGE_BYTES:
        return message
    return data[:_MESSAGE_BYTES].decode("utf-8", "ignore") + " [...]"


def _with_details(code: grpc.StatusCode, error: ControlError) -> Status:
    number: int = code.value[0]
    message = _short(str(error))
    details: list[Message] = [ErrorInfo(reason=error.reason, domain=DOMAIN)]
    if isinstance(error, BadRequestError) and error.field:
        violation = BadRequest.FieldViolation(field=error.field, description=message)
        details.append(BadRequest(field_violations=[violation]))
    if isinstance(error, LimitExceededError) and error.retry_after is not None:
        retry = RetryInfo()
        retry.retry_delay.FromTimedelta(datetime.timedelta(seconds=error.retry_after))
        details.append(retry)
    return Status(code, message, metadata_with(number, message, details))


async def refuse(context: Context, error: Exception, log: ActorLog) -> NoReturn:
    """End a call with the status of an exception, which is logged as a bug if it has no status of its own.

    Args:
        context: the call's.
        error: the exception.
        log: hears of it.
    """
    status = status_of(error)
    # Of a call that is over already, because its caller has gone, gRPC raises errors of its own.
    if status.code is grpc.StatusCode.INTERNAL and not context.done():
        log.error("call met a bug", error, peer=context.peer())
    else:
        log.debug("call refused", peer=context.peer(), status=status.code.name, reason=error)
    await context.abort(*status)


@asynccontextmanager
async def answering(context: Context, log: ActorLog) -> AsyncIterator[None]:
    """End a call with the status of whatever exception leaves the block.

    Args:
        context: the call's.
        log: hears of it.

    Example:
        >>> async def Pause(self, request, context):
        ...     async with answering(context, LOG):
        ...         return self._paused(request)
    """
    try:
        yield
    except grpc.aio.AbortError:
        raise
    except Exception as error:  # noqa: BLE001 - every exception has its status
        await refuse(context, error, log)


def control_error_of(error: grpc.RpcError) -> ControlError:
    """Returns the client's exception for an error of a call to a control service, synchronous or not."""
    call = cast("grpc.Call", error)  # as errors of calls are, whatever the types say
    code, message = call.code(), call.details() or ""
    info: ErrorInfo | None = None
    field, retry_after = "", None
    for detail in details_of(call):
        if (found := unpacked(detail, ErrorInfo)) is not None and found.domain == DOMAIN:
            info = found
        elif (bad := unpacked(detail, BadRequest)) is not None and bad.field_violations:
            field = bad.field_violations[0].field
        elif (retry := unpacked(detail, RetryInfo)) is not None:
            retry_after = retry.retry_delay.ToTimedelta().total_seconds()
    kind = _FOREIGN.get(code, ControlError)
    reason = ""
    if info is not None:
        reason = info.reason
        kind = _REASONS[reason][0] if reason in _REASONS else kind
    else:
        message = f"{message or 'no reason was given'} ({code.name})"
    if issubclass(kind, BadRequestError):
        return kind(message, reason, field)
    if issubclass(kind, LimitExceededError):
        return kind(message, reason, retry_after)
    return kind(message, reason)
