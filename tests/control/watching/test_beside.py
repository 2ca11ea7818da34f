"""What is served beside ControlService: health checking and reflection."""

from __future__ import annotations

import asyncio
import importlib.util
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc

from sparkopt.control.standard_services import StandardServices
from sparkopt.wire.tokens import bearer
from tests.support.post import SECONDS

SERVICE = "sparkopt.v1.ControlService"
SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


@pytest.fixture
def channel(rig):
    with grpc.insecure_channel(rig.server.address) as channel:
        yield channel


@pytest.fixture
def metadata(rig):
    return bearer(rig.server.token)


@pytest.mark.parametrize("service", ["", SERVICE])
def test_it_is_well_until_the_pool_closes(rig, channel, metadata, service):
    stub = health_pb2_grpc.HealthStub(channel)
    request = health_pb2.HealthCheckRequest(service=service)
    assert stub.Check(request, metadata=metadata, timeout=SECONDS).status == SERVING
    watch = stub.Watch(request, metadata=metadata, timeout=SECONDS)
    assert next(watch).status == SERVING
    # The workers are sent away, which may take a while, and nothing is taken on any more.
    rig.coordinator.expel_all()
    assert next(watch).status == NOT_SERVING
    assert stub.Check(request, metadata=metadata, timeout=SECONDS).status == NOT_SERVING
    with ThreadPoolExecutor(1) as threads:
        closing = threads.submit(rig.close)
        with pytest.raises(grpc.RpcError):
            next(watch)
        closing.result(SECONDS)


def test_a_service_that_is_not_there(rig, channel, metadata):
    stub = health_pb2_grpc.HealthStub(channel)
    with pytest.raises(grpc.RpcError) as caught:
        stub.Check(health_pb2.HealthCheckRequest(service="nobody's"), metadata=metadata, timeout=SECONDS)
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


def test_reflection_lists_the_services_and_knows_their_messages(rig, channel, metadata):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    questions = [
        reflection_pb2.ServerReflectionRequest(list_services=""),
        reflection_pb2.ServerReflectionRequest(file_containing_symbol=SERVICE),
    ]
    listing, files = stub.ServerReflectionInfo(iter(questions), metadata=metadata, timeout=SECONDS)
    assert {service.name for service in listing.list_services_response.service} == {
        SERVICE,
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
    }
    found = [
        descriptor_pb2.FileDescriptorProto.FromString(file)
        for file in files.file_descriptor_response.file_descriptor_proto
    ]
    (service,) = (service for file in found for service in file.service if service.name == "ControlService")
    assert {method.name for method in service.method} >= {"GetStatus", "WatchEvents", "Evaluate"}


def test_without_their_packages_neither_is_served(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)

    async def run():
        server = grpc.aio.server()
        beside = StandardServices(server, SERVICE)
        await beside.add()
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.RpcError) as caught:
                await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        await beside.closing()
        await server.stop(0)
        return caught.value.code()

    assert asyncio.run(run()) is grpc.StatusCode.UNIMPLEMENTED
