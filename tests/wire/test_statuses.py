"""Each exception has its status code, and a client finds it again behind a real server."""

from __future__ import annotations

import asyncio

import grpc
import pytest

from sparkopt.errors import (
    BadRequestError,
    BlobNotFoundError,
    ControlError,
    EventsForgottenError,
    LimitExceededError,
    NotAuthorizedError,
    NotFoundError,
    PoolClosedError,
    ProtocolError,
    StorageError,
    StudyStoppedError,
    UnreachableError,
    WrongStateError,
)
from sparkopt.wire import statuses
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.codes import FINAL_CODES
from sparkopt.wire.statuses import answering, control_error_of, status_of

ERRORS = [
    (BadRequestError("what", "BAD_POINT", "points[3]"), grpc.StatusCode.INVALID_ARGUMENT),
    (NotFoundError("what", "NO_TRIAL"), grpc.StatusCode.NOT_FOUND),
    (WrongStateError("what", "STUDY_ENDED"), grpc.StatusCode.FAILED_PRECONDITION),
    (NotAuthorizedError("what", "WRONG_TOKEN"), grpc.StatusCode.UNAUTHENTICATED),
    (NotAuthorizedError("what", statuses.READ_ONLY), grpc.StatusCode.PERMISSION_DENIED),
    (LimitExceededError("what", "TOO_SLOW"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    (LimitExceededError("what", statuses.NOTHING_SENT), grpc.StatusCode.DEADLINE_EXCEEDED),
    (EventsForgottenError("what", "EVENTS_FORGOTTEN"), grpc.StatusCode.OUT_OF_RANGE),
    (StudyStoppedError("what", "STUDY_STOPPED"), grpc.StatusCode.ABORTED),
    (UnreachableError("what", "POOL_CLOSED"), grpc.StatusCode.UNAVAILABLE),
]


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ProtocolError("what"), grpc.StatusCode.INVALID_ARGUMENT),
        (BlobNotFoundError("what"), grpc.StatusCode.NOT_FOUND),
        (PoolClosedError("what"), grpc.StatusCode.UNAVAILABLE),
        (StorageError("what"), grpc.StatusCode.RESOURCE_EXHAUSTED),
    ],
)
def test_ours_have_their_own_codes(error, code):
    assert status_of(error) == (code, "what", ())


def test_any_other_is_internal_and_named():
    assert status_of(KeyError("what")) == (grpc.StatusCode.INTERNAL, "KeyError: 'what'", ())


def test_only_refusals_are_final():
    assert grpc.StatusCode.UNAUTHENTICATED in FINAL_CODES
    assert grpc.StatusCode.INVALID_ARGUMENT in FINAL_CODES
    again = {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL}
    assert not again & FINAL_CODES


def called(handle, call):
    """What a client's call comes to at a server whose every call is handled so."""

    class Everything(grpc.GenericRpcHandler):
        def service(self, _call):
            return grpc.unary_unary_rpc_method_handler(handle)

    async def run():
        server = grpc.aio.server()
        server.add_generic_rpc_handlers((Everything(),))
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            return await call(f"127.0.0.1:{port}")
        finally:
            await server.stop(0)

    return asyncio.run(run())


async def caught_by_asyncio(address):
    async with grpc.aio.insecure_channel(address) as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary("/a/b")(b"")
    return caught.value


def caught_in_a_thread(address):
    with grpc.insecure_channel(address) as channel, pytest.raises(grpc.RpcError) as caught:
        channel.unary_unary("/a/b")(b"", timeout=60)
    return caught.value


async def caught_by_threads(address):
    return await asyncio.to_thread(caught_in_a_thread, address)


@pytest.mark.parametrize("caught", [caught_by_asyncio, caught_by_threads])
@pytest.mark.parametrize(("error", "code"), ERRORS, ids=lambda value: getattr(value, "reason", None))
def test_what_a_service_raises_is_what_a_client_raises(error, code, caught):
    async def handle(_request, context):
        async with answering(context, ActorLog("tests")):
            raise error

    raised = called(handle, caught)
    assert raised.code() is code
    again = control_error_of(raised)
    assert type(again) is type(error)
    assert (str(again), again.reason) == ("what", error.reason)
    assert getattr(again, "field", None) == getattr(error, "field", None)


def test_any_client_reads_the_details_as_googles():
    rpc_status = pytest.importorskip("grpc_status.rpc_status")
    details = pytest.importorskip("google.rpc.error_details_pb2")

    async def handle(_request, context):
        async with answering(context, ActorLog("tests")):
            raise LimitExceededError("what", "TOO_SLOW", 2.5)

    info, retry = details.ErrorInfo(), details.RetryInfo()
    whole = rpc_status.from_call(called(handle, caught_by_threads))
    assert whole.details[0].Unpack(info)
    assert (info.reason, info.domain) == ("TOO_SLOW", statuses.DOMAIN)
    assert whole.details[1].Unpack(retry)
    assert retry.retry_delay.ToTimedelta().total_seconds() == 2.5


def test_a_call_that_has_ended_itself_keeps_its_status():
    async def handle(_request, context):
        async with answering(context, ActorLog("tests")):
            await context.abort(grpc.StatusCode.DATA_LOSS, "gone")

    raised = called(handle, caught_by_asyncio)
    assert (raised.code(), raised.details()) == (grpc.StatusCode.DATA_LOSS, "gone")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (grpc.StatusCode.UNAVAILABLE, UnreachableError),
        (grpc.StatusCode.DEADLINE_EXCEEDED, UnreachableError),
        (grpc.StatusCode.CANCELLED, UnreachableError),
        (grpc.StatusCode.PERMISSION_DENIED, NotAuthorizedError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.INTERNAL, ControlError),
        (grpc.StatusCode.UNIMPLEMENTED, ControlError),
    ],
)
@pytest.mark.parametrize(
    "metadata",
    [(), (("grpc-status-details-bin", b"\xff\xff"),), (("grpc-status-details-bin", b"\x08\x01"),)],
    ids=["no details", "no status", "another status"],
)
def test_without_details_the_code_decides(code, kind, metadata):
    async def handle(_request, context):
        await context.abort(code, "what", metadata)

    raised = control_error_of(called(handle, caught_by_asyncio))
    assert type(raised) is kind
    assert raised.reason == ""
    assert "what" in str(raised)
    assert code.name in str(raised)


def test_where_nobody_listens_it_is_unreachable():
    async def handle(_request, _context):
        return b""

    async def too_late(address):
        return address

    address = called(handle, too_late)
    assert type(control_error_of(caught_in_a_thread(address))) is UnreachableError
