"""Clients of a control service that say and hear its messages as they are."""

from __future__ import annotations

import json
import queue
from collections.abc import Iterator
from typing import Any

import grpc

from sparkopt.errors import ControlError
from sparkopt.wire.limits import channel_options
from sparkopt.wire.statuses import control_error_of
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import control_pb2_grpc
from tests.support.post import SECONDS

NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65536)]
"""Options of a client whose connection holds little that it has not read."""


class Client:
    """Somebody who calls a control service, on a connection of its own."""

    def __init__(self, address: str, token: str, options: list[tuple[str, int]] | None = None) -> None:
        own = ("grpc.use_local_subchannel_pool", 1)
        self.channel = grpc.insecure_channel(address, [*channel_options(), own, *(options or [])])
        self._stub = control_pb2_grpc.ControlServiceStub(self.channel)
        self._metadata = bearer(token)
        self._streams: list[Stream] = []

    def call(self, name: str, **fields: Any) -> Any:
        """Make a call, whose request is named like it; raises the ControlError that it ends with."""
        request = getattr(pb, f"{name}Request")(**fields)
        try:
            return getattr(self._stub, name)(request, metadata=self._metadata, timeout=SECONDS)
        except grpc.RpcError as error:
            raise control_error_of(error) from error

    def refusal(self, name: str, **fields: Any) -> tuple[type[ControlError], str]:
        """The kind and the reason of the error that a call ends with."""
        try:
            answer = self.call(name, **fields)
        except ControlError as error:
            return type(error), error.reason
        raise AssertionError(f"it was answered: {answer}")

    def watch(self, **fields: Any) -> Watch:
        """Watch events, from when this returns."""
        request = pb.WatchEventsRequest(**fields)
        return Watch(self._stub.WatchEvents(request, metadata=self._metadata, timeout=2 * SECONDS))

    def evaluate(self, study: str = "") -> Stream:
        """Begin a stream of points; empty is the pool's only study."""
        self._streams.append(Stream(self._stub, self._metadata, study))
        return self._streams[-1]

    def close(self) -> None:
        """Be gone, as far as the server knows. Idempotent."""
        for stream in self._streams:
            stream.cut()
        self.channel.close()


class Watch:
    """A watch that stands."""

    def __init__(self, call: Any) -> None:
        self.cancel = call.cancel
        self._call = call
        self.first = self.next()

    def next(self) -> pb.WatchEventsResponse:
        """The next message; raises the ControlError that the watch ends with."""
        try:
            return next(self._call)
        except grpc.RpcError as error:
            raise control_error_of(error) from error

    def rest(self) -> list[pb.WatchEventsResponse]:
        """All that comes until the stream ends with OK."""
        return list(self._call)

    def to_the_end(self) -> tuple[list[int], ControlError]:
        """The numbers of all that comes, and the error that the watch ends with."""
        heard: list[int] = []
        try:
            while True:
                heard.append(self.next().sequence)
        except ControlError as error:
            return heard, error

    def until(self, kind: str) -> list[pb.WatchEventsResponse]:
        """All that comes up to an event of this kind."""
        heard = [self.next()]
        while heard[-1].event.WhichOneof("body") != kind:
            heard.append(self.next())
        return heard

    def event(self, kind: str) -> Any:
        """What the next event of this kind is about."""
        return getattr(self.until(kind)[-1].event, kind)


def kinds(heard: list[pb.WatchEventsResponse]) -> list[str | None]:
    """Of what kinds events are."""
    return [each.event.WhichOneof("body") for each in heard]


class Stream:
    """A stream of points: says them, and hears what became of them."""

    def __init__(
        self, stub: control_pb2_grpc.ControlServiceStub, metadata: tuple[tuple[str, str], ...], study: str
    ) -> None:
        self._said: queue.SimpleQueue[pb.EvaluateRequest | None] = queue.SimpleQueue()
        self._study = study
        self.taken = 0
        self.call = stub.Evaluate(self._requests(), metadata=metadata, timeout=4 * SECONDS)

    def _requests(self) -> Iterator[pb.EvaluateRequest]:
        while (request := self._said.get()) is not None:
            self.taken += 1
            yield request

    def send(self, request: pb.EvaluateRequest) -> None:
        """Say anything."""
        self._said.put(request)

    def ask(self, name: str, point: Any = None, **values: Any) -> None:
        """Ask for a point, by its values or as a message."""
        point = point or pb.Point(json=json.dumps(values))
        self.send(pb.EvaluateRequest(id=name, point=point, study=self._study))

    def hear(self) -> pb.EvaluateResponse:
        """The next answer."""
        return next(self.call)

    def outcome(self) -> pb.Evaluation:
        """The next answer, which has to be an evaluation."""
        answer = self.hear()
        assert answer.HasField("evaluation"), answer
        assert answer.id == answer.evaluation.trial.request_id
        return answer.evaluation

    def rejection(self) -> tuple[str, str]:
        """The next answer, which has to be a rejection: its id and its reason."""
        answer = self.hear()
        assert answer.HasField("rejected"), answer
        assert answer.rejected.message
        return answer.id, answer.rejected.reason

    def results(self, number: int) -> dict[str, Any]:
        """The next so many results, by their ids."""
        return {
            outcome.trial.request_id: json.loads(outcome.result)
            for outcome in (self.outcome() for _ in range(number))
        }

    def finish(self) -> None:
        """Say no more."""
        self._said.put(None)

    def ends_well(self) -> bool:
        """Whether the stream ends with OK, and without another answer."""
        return list(self.call) == [] and self.call.code() is grpc.StatusCode.OK

    def error(self) -> grpc.RpcError:
        """What the stream ends with, without another answer."""
        try:
            answer = next(self.call)
        except grpc.RpcError as error:
            return error
        except StopIteration:
            raise AssertionError("the stream ended well") from None
        raise AssertionError(f"the stream goes on: {answer}")

    def cut(self) -> None:
        """Be gone, as far as the server knows."""
        self._said.put(None)
        self.call.cancel()


def reason_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """What a stream has ended with: its status, and the service's reason."""
    return error.code(), control_error_of(error).reason
