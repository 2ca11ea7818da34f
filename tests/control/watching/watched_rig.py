"""The coordinators' rig with a control service, and clients of it."""

from __future__ import annotations

import concurrent.futures
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
from coordinator.rig import Peer, Rig
from post import SECONDS

from sparkopt.control import Control, ControlServer
from sparkopt.control.feed import KEPT, Feed
from sparkopt.errors import ControlError
from sparkopt.wire import codec
from sparkopt.wire.limits import channel_options
from sparkopt.wire.statuses import control_error_of
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import control_pb2_grpc, trial_pb2

NARROW = [("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65536)]
"""Options of a client whose connection holds little that it has not read."""


class Client:
    """Somebody who calls a control service."""

    def __init__(self, address: str, token: str, options: list[tuple[str, int]] | None = None) -> None:
        own = ("grpc.use_local_subchannel_pool", 1)
        self.channel = grpc.insecure_channel(address, [*channel_options(), own, *(options or [])])
        self._stub = control_pb2_grpc.ControlServiceStub(self.channel)
        self._metadata = bearer(token)

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


class WatchedRig(Rig):
    """A rig that is open to control."""

    def __init__(self, directory: Path, kept: int = KEPT, **settings: Any) -> None:
        self.server = ControlServer(Control())
        self.server.feed = Feed(kept)
        super().__init__(directory, observer=self.server, **settings)
        self._clients: list[Client] = []
        self.client = self.new_client()
        self.call, self.refusal, self.watch = self.client.call, self.client.refusal, self.client.watch

    def new_client(self, options: list[tuple[str, int]] | None = None) -> Client:
        """A client on a connection of its own."""
        self._clients.append(Client(self.server.address, self.server.token, options))
        return self._clients[-1]

    def on_loop(self, action: Callable[[], Any]) -> Any:
        """Do something in the coordinator's thread, and return what came of it."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def act() -> None:
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)

        assert self.coordinator.post(act)
        return future.result(SECONDS)

    def joined_peer(self, slot: int = 0) -> Peer:
        """A worker played by the test, which has joined."""
        peer = self.peer()
        peer.hello(slot)
        peer.hear("welcome")
        return peer

    def all_trials(self, **fields: Any) -> Iterator[pb.Trial]:
        """Every trial that ListTrials lists, page by page."""
        token = ""
        while True:
            page = self.call("ListTrials", page_token=token, **fields)
            yield from page.trials
            if not (token := page.next_page_token):
                return

    def close(self) -> None:
        try:
            super().close()
        finally:
            for client in self._clients:
                client.channel.close()


def attempt_of(peer: Peer) -> trial_pb2.Attempt:
    """The next thing that a worker hears is an assignment: of this attempt."""
    return peer.hear("assignment").assignment.attempt


def ok(loss: float | None = None) -> dict[str, Any]:
    """An outcome that is well."""
    payload = trial_pb2.Payload(inline=codec.dumps(loss))
    return {"kind": trial_pb2.OUTCOME_KIND_OK, "result": payload, "loss": loss, "seconds": 0.5}


CANCELLED = {"kind": trial_pb2.OUTCOME_KIND_CANCELLED}
