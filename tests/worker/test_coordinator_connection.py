"""The connection opens its stream again, whichever way the last one ended."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import grpc
import pytest
import uvloop

from sparkopt.wire.limits import server_options
from sparkopt.wire.v1 import worker_pb2, worker_pb2_grpc
from sparkopt.worker.coordinator_connection import CoordinatorConnection, CoordinatorUnreachableError
from sparkopt.worker.spec import Endpoint, WorkerSpec

SECONDS = 30
HEARTBEAT = 0.05
EXPULSION = worker_pb2.CoordinatorMessage(expulsion=worker_pb2.Expulsion(reason="done"))


class Service(worker_pb2_grpc.WorkerServiceServicer):
    """Does with each stream what the test has for it: a list of things to do, one for each stream.

    With ``once`` it answers a worker's first stream only, until the worker has another name.
    """

    def __init__(self, deeds, grace=3.0, once=False):
        self.deeds = iter(deeds)
        self.grace = grace
        self.once = once
        self.hellos = []

    async def Work(self, requests, context):
        name = (await anext(aiter(requests))).hello.worker
        self.hellos.append(name)
        if self.once and self.hellos.count(name) > 1:
            await fall_silent(requests, context)
            return
        welcome = worker_pb2.Welcome(heartbeat=HEARTBEAT, grace=self.grace)
        await context.write(worker_pb2.CoordinatorMessage(welcome=welcome))
        await next(self.deeds)(requests, context)


async def fall_silent(requests, context):
    async for _ in requests:
        pass


async def end(requests, context):
    pass


async def fail(requests, context):
    await context.abort(grpc.StatusCode.INTERNAL, "a bug")


async def refuse(requests, context):
    await context.abort(grpc.StatusCode.UNAUTHENTICATED, "who are you")


async def expel(requests, context):
    await context.write(EXPULSION)
    await fall_silent(requests, context)


@asynccontextmanager
async def connection_to(service):
    """A connection that leaves when it is expelled."""
    server = grpc.aio.server(options=server_options())
    worker_pb2_grpc.add_WorkerServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    spec = WorkerSpec(Endpoint(f"127.0.0.1:{port}", "token"), 0, 1, HEARTBEAT, service.grace)

    def receive(message):
        if message.HasField("expulsion"):
            connection.close()

    names = ["me"]

    def greet():
        return [worker_pb2.WorkerMessage(hello=worker_pb2.Hello(worker=names[-1]))]

    def give_up():
        names.append(f"{names[-1]} again")
        connection.renew()

    connection = CoordinatorConnection(spec, greet, receive, give_up)
    try:
        yield connection
    finally:
        await server.stop(None)


def run(service):
    async def main():
        async with connection_to(service) as connection:
            await asyncio.wait_for(connection.run(), SECONDS)

    uvloop.run(main())


@pytest.mark.parametrize("deed", [fall_silent, end, fail])
def test_it_comes_back_after(deed):
    service = Service([deed, expel])
    run(service)
    assert service.hellos == ["me", "me"]


def test_it_starts_over_after_the_grace():
    service = Service([fall_silent, expel], grace=0.3, once=True)
    run(service)
    assert service.hellos[0] == "me"
    assert service.hellos[-1] == "me again"
    assert service.hellos.count("me again") == 1


def test_it_starts_over_once_and_then_loses_its_patience():
    service = Service([fall_silent, fall_silent], grace=0.3, once=True)
    service.hellos.append("me again")  # so that nobody answers to that name
    with pytest.raises(CoordinatorUnreachableError, match="no contact with the coordinator"):
        run(service)
    assert set(service.hellos) == {"me", "me again"}


def test_it_does_not_come_back_when_it_is_refused():
    service = Service([refuse])
    with pytest.raises(CoordinatorUnreachableError, match="who are you"):
        run(service)
    assert service.hellos == ["me"]


def test_what_it_is_told_to_fail_with_is_raised():
    async def main():
        async with connection_to(Service([fall_silent])) as connection:
            running = asyncio.ensure_future(connection.run())
            connection.fail(KeyError("mine"))
            await asyncio.wait_for(running, SECONDS)

    with pytest.raises(KeyError, match="mine"):
        uvloop.run(main())
