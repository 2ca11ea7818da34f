"""What an attacker has at hand, and a search beside that must never notice."""

from __future__ import annotations

import contextlib
import itertools
import queue
import socket
import threading
from collections.abc import Iterator

import grpc
from google.protobuf.empty_pb2 import Empty

from sparkopt.control import ControlServer
from sparkopt.core import events
from sparkopt.core.states import Outcome
from sparkopt.errors import ControlError
from sparkopt.wire import addresses
from sparkopt.wire.statuses import control_error_of
from sparkopt.wire.tokens import bearer
from tests.coordinator import meetings
from tests.coordinator.rig import SECONDS, Rig

WORK = "/sparkopt.v1.WorkerService/Work"
FETCH = "/sparkopt.v1.WorkerService/Fetch"
PUSH = "/sparkopt.v1.WorkerService/Push"
PAUSE = "/sparkopt.v1.ControlService/Pause"
WATCH = "/sparkopt.v1.ControlService/WatchEvents"
EVALUATE = "/sparkopt.v1.ControlService/Evaluate"


WORKER = "gang0.1/worker0"
"""The worker of the search."""


class Stream:
    """A call whose messages are said one by one.

    Attributes:
        call: its answers are bytes.
    """

    def __init__(self, method, metadata) -> None:
        self._messages: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.call = method(iter(self._messages.get, None), metadata=metadata, timeout=SECONDS)

    def say(self, message: bytes | None) -> None:
        """Send a message; None closes this side."""
        self._messages.put(message)

    def end(self) -> None:
        self._messages.put(None)
        self.call.cancel()


class Attacked:
    """A coordinator with its control service, a real worker, and a search that goes on.

    Attributes:
        rig: the coordinator's.
        server: the control service.
        workers: where workers find the coordinator.
        attackers: the names of those that have a worker's token, and are given trials as workers are. When
            they are gone, their trials run again.
    """

    def __init__(self, rig: Rig, server: ControlServer) -> None:
        self.rig = rig
        self.server = server
        self.workers = rig.endpoint
        self._ending = threading.Event()
        self._thread: threading.Thread | None = None
        self._settled = threading.Condition()
        self._count = 0
        self._wrong: list[object] = []
        self.attackers: set[str] = set()
        self._channels: list[grpc.Channel] = []
        self._streams: list[Stream] = []

    def search(self, endpoint=None) -> None:
        """Begin the search: one real worker, four trials waiting or running at any time."""
        self.rig.work(0, endpoint=endpoint)
        self._thread = threading.Thread(target=self._search, name="search")
        self._thread.start()
        self.goes_on()

    def _search(self) -> None:
        study = self.rig.study(meetings.double)
        numbers = itertools.count()
        waiting = {}

        def submit() -> None:
            number = next(numbers)
            (tid,) = study.submit(number)
            waiting[tid] = number

        try:
            for _ in range(4):
                submit()
            while waiting:
                settled = study.settled()
                number = waiting.pop(settled.tid)  # a second time it is not there
                right = settled.outcome is Outcome.OK and settled.result.load() == 2 * number
                if not right or settled.worker != WORKER or settled.attempt > 1 + len(self.attackers):
                    self._wrong.append(settled)
                if not self._ending.is_set():
                    submit()
                with self._settled:
                    self._count += 1
                    self._settled.notify_all()
        except BaseException as error:
            self._wrong.append(error)
            with self._settled:
                self._settled.notify_all()

    def goes_on(self) -> None:
        """Wait until more trials have settled than were under way, and look at what became of all so far."""
        with self._settled:
            enough = self._count + 5
            assert self._settled.wait_for(lambda: self._count >= enough or self._wrong, SECONDS)
        assert self._wrong == []

    def close(self) -> None:
        """End the search: every trial has settled once, with its own result, in its first attempt."""
        for stream in self._streams:
            stream.end()
        for channel in self._channels:
            channel.close()
        for name in self.attackers - {WORKER}:
            self.rig.coordinator.post_event(events.WorkerGone(name, "the test is over"))
        if self._thread is None:
            return
        try:
            self.goes_on()
        finally:
            self._ending.set()
            self._thread.join()
        assert self._wrong == []

    # What an attacker has.

    def address(self, service: str) -> str:
        """Where a service listens, of which this is the name or a call."""
        return self.server.address if "Control" in service else self.workers.address

    def call(self, call: str, *messages: bytes, token: str | None = None, channel=None, **more):
        """Make any call with any bytes.

        Args:
            call: its full name.
            messages: what is sent.
            token: what goes with it.
            channel: instead of a plaintext channel of its own.
            more: metadata.

        Returns:
            The call, whose answers are bytes.
        """
        stream = self.open(call, token, channel, **more)
        for message in messages:
            stream.say(message)
        stream.say(None)
        return stream.call

    def open(self, call: str, token: str | None = None, channel=None, **more) -> Stream:
        """Begin any call, and send nothing yet."""
        channel = channel or self.channel(call)
        metadata = (() if token is None else bearer(token)) + tuple(
            (key.replace("_", "-"), value) for key, value in more.items()
        )
        self._streams.append(Stream(channel.stream_stream(call), metadata))
        return self._streams[-1]

    def channel(self, service: str, *options) -> grpc.Channel:
        """A plaintext channel, without any of our limits."""
        unlimited = [("grpc.max_send_message_length", -1), ("grpc.use_local_subchannel_pool", 1), *options]
        channel = grpc.insecure_channel(self.address(service), unlimited)
        self._channels.append(channel)
        return channel

    @contextlib.contextmanager
    def connection(self, service: str) -> Iterator[socket.socket]:
        """A connection without any protocol."""
        with socket.create_connection(addresses.split(self.address(service)), SECONDS) as sock:
            yield sock


def refusal(call) -> tuple[grpc.StatusCode, str]:
    """The status and the reason that a call is refused with."""
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        return error.code(), control_error_of(error).reason
    raise AssertionError("the call was answered")


def error_of(call) -> ControlError:
    """What a client of ours makes of the refusal."""
    try:
        for _ in call:
            pass
    except grpc.RpcError as error:
        return control_error_of(error)
    raise AssertionError("the call was answered")


def was_let_in(call) -> bool:
    """Whether a call came past the tokens, whatever became of it then. Ends it."""
    try:
        next(call)
    except StopIteration:
        return True
    except grpc.RpcError as error:
        return error.code() not in (grpc.StatusCode.UNAUTHENTICATED, grpc.StatusCode.PERMISSION_DENIED)
    finally:
        call.cancel()
    return True


NOTHING = Empty().SerializeToString()
