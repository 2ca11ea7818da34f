"""A coordinator, workers in processes of their own, workers that the test plays, and a post to meet at."""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import cloudpickle
import grpc
import psutil
import pytest

from sparkopt.coordinator import Coordinator, ObjectiveSpec
from sparkopt.coordinator.observer import Observer
from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Lease, TrialKey
from sparkopt.errors import PoolLostError
from sparkopt.wire import codec
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import channel_options
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import trial_pb2, worker_pb2, worker_pb2_grpc
from sparkopt.worker.spec import WorkerSpec
from tests.support.paths import python_path
from tests.support.post import SECONDS, Post

HEARTBEAT = 0.1

WORKER = """
import pickle, sys
from sparkopt.worker import task
try:
    task.run(*pickle.load(sys.stdin.buffer))
except task.WorkerFailedError as error:
    sys.exit(f"WorkerFailedError: {error}")
assert "grpc" not in sys.modules
"""


class Peer:
    """A worker played by the test: says and hears what it likes."""

    def __init__(self, channel: grpc.Channel, token: str) -> None:
        self._said: queue.SimpleQueue[worker_pb2.WorkerMessage | None] = queue.SimpleQueue()
        stub = worker_pb2_grpc.WorkerServiceStub(channel)
        self.call = stub.Work(iter(self._said.get, None), metadata=bearer(token), timeout=SECONDS)

    def say(self, sequence: int = 0, **body: object) -> None:
        self._said.put(worker_pb2.WorkerMessage(sequence=sequence, **body))

    def hello(self, slot: int = 0, generation: int = 1, holding: trial_pb2.Attempt | None = None) -> None:
        name = f"gang0.{generation}/worker{slot}"
        hello = worker_pb2.Hello(worker=name, gang=0, generation=generation, holding=holding)
        self.say(hello=hello)

    def outcome(self, attempt: trial_pb2.Attempt, sequence: int, **more: object) -> None:
        outcome = trial_pb2.Outcome(attempt=attempt, **more)
        self.say(sequence, outcome=outcome)

    def hear(self, kind: str) -> worker_pb2.CoordinatorMessage:
        """The next message but for answered heartbeats; it has to be of this kind."""
        for message in self.call:
            if (heard := message.WhichOneof("body")) != "heartbeat":
                assert heard == kind
                return message
        raise AssertionError(f"the stream ended before {kind} came")

    def end(self) -> None:
        """Say nothing more, and be cut."""
        self._said.put(None)
        self.call.cancel()


class Rig:
    """Everything together; ends what it started."""

    def __init__(
        self,
        directory: Path,
        limit: int = 2,
        host: str = "127.0.0.1",
        policy: Policy | None = None,
        observer: Observer | None = None,
        listen: str | None = None,
    ) -> None:
        self.directory = directory
        (directory / "workers").mkdir()
        self.post = Post(directory / "post")
        self.coordinator = Coordinator(
            *(limit, host, lambda *_: None, lambda reason, _: PoolLostError(reason)),
            *(policy, HEARTBEAT, observer, listen),
        )
        self.fetched: list[str] = []
        self._heard: queue.SimpleQueue[events.Event] = queue.SimpleQueue()
        self._names = (f"study-{number}" for number in itertools.count())
        self._closed = False
        self._held: dict[int, int] = {}
        self._last_words: dict[int, Path] = {}
        self._workers: list[subprocess.Popen] = []
        self._channels: list[grpc.Channel] = []
        self._peers: list[Peer] = []
        self._listen_in()
        self.endpoint = self.coordinator.start()
        self.coordinator.post_event(events.GangLaunched(0, 2))

    def _listen_in(self) -> None:
        step, read = self.coordinator.machine.step, self.coordinator.blobs.read

        def noted_step(event, now):
            commands = step(event, now)
            self._heard.put(event)
            return commands

        def noted_read(name):
            self.fetched.append(name)
            return read(name)

        self.coordinator.machine.step = noted_step
        self.coordinator.blobs.read = noted_read

    def heard(self, kind: type) -> events.Event:
        """Wait until the machine has heard of such an event; skips what comes before it."""
        deadline = time.monotonic() + SECONDS
        while not isinstance(event := self._heard.get(timeout=deadline - time.monotonic()), kind):
            pass
        return event

    def heard_up_to(self, kind: type, times: int = 1) -> list[events.Event]:
        """Wait until the machine has heard so many such events; all that it has heard by then."""
        heard: list[events.Event] = []
        deadline = time.monotonic() + SECONDS
        while times:
            heard.append(self._heard.get(timeout=deadline - time.monotonic()))
            times -= isinstance(heard[-1], kind)
        return heard

    # Workers.

    def work(
        self, *slots: int, endpoint=None, grace: float = SECONDS, loading: float = SECONDS
    ) -> list[subprocess.Popen]:
        """Start real workers."""
        spec = WorkerSpec(endpoint or self.endpoint, 0, 1, HEARTBEAT, grace, loading)
        environment = {
            **os.environ,
            "PYTHONPATH": python_path(),
            "TMPDIR": str(self.directory / "workers"),
        }
        started = []
        for slot in slots:
            holders, held = os.pipe()
            given = self.directory / f"spec-{slot}"
            given.write_bytes(pickle.dumps((spec, slot)))
            last_words = self.directory / f"stderr-{slot}"
            with given.open("rb") as stdin, last_words.open("wb") as stderr:
                # Its standard output is what A and the nurseries keep: they let go of everything else.
                process = subprocess.Popen(
                    [sys.executable, "-c", WORKER], stdin=stdin, stdout=held, stderr=stderr, env=environment
                )
            os.close(held)
            self._last_words[process.pid] = last_words
            self._held[process.pid] = holders
            started.append(process)
        self._workers += started
        return started

    def how_it_ended(self, worker: subprocess.Popen) -> tuple[int, str]:
        """A worker's exit code and its last words, once it has ended."""
        code = worker.wait(SECONDS)
        return code, self.words(worker)

    def words(self, worker: subprocess.Popen) -> str:
        """What a worker has said by now: its standard error."""
        return self._last_words[worker.pid].read_text()

    def wait_for_the_end_of_all(self, worker: subprocess.Popen) -> None:
        """Wait until a worker's task, A and nurseries are gone, and with them their evaluators."""
        holders = self._held[worker.pid]
        poll = select.poll()  # which takes descriptors of any number
        poll.register(holders)
        assert poll.poll(1000 * SECONDS), "processes are left"
        assert os.read(holders, 1) == b""

    def files_of_workers(self) -> list[Path]:
        """What workers have in their temporary directories."""
        return sorted(path for path in (self.directory / "workers").rglob("*") if path.is_file())

    def channel(self) -> grpc.Channel:
        """A channel of the test's own."""
        channel = grpc.insecure_channel(self.endpoint.address, channel_options())
        self._channels.append(channel)
        return channel

    def peer(self) -> Peer:
        """A worker played by the test, before its first word."""
        peer = Peer(self.channel(), self.endpoint.token)
        self._peers.append(peer)
        return peer

    # Studies.

    def study(self, objective, max_attempts: int = 3, trial_timeout: float | None = None, **more) -> Study:
        """Open a study of an objective."""
        objective_spec = ObjectiveSpec(cloudpickle.dumps(objective), max_attempts, trial_timeout, **more)
        name = next(self._names)
        return Study(name, self.coordinator.open_study(name, objective_spec))

    def prune(self, study: Study, tid: int, grace: float | None = SECONDS) -> None:
        """Tell the worker that has a study's trial, in its first attempt, to stop early."""
        lease = Lease(TrialKey(study.name, tid), 1)

        def tell() -> None:
            worker = self.coordinator.machine.trials[lease.trial].worker
            self.coordinator.streams[worker].prune(lease, grace)

        self.coordinator.post(tell)

    def close(self) -> None:
        """Send everybody away and wait until they are gone. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.coordinator.expel_all()
        for peer in self._peers:
            peer.end()
        try:
            for process in self._workers:
                process.wait(SECONDS)
        finally:
            for process in self._workers:
                process.kill()
                process.wait(SECONDS)
                self.wait_for_the_end_of_all(process)
                os.close(self._held[process.pid])
            for channel in self._channels:
                channel.close()
            self.coordinator.close()
            self.post.close()
        left = list((self.directory / "workers").glob("sparkopt-*"))
        assert left == [], "files of workers are left"


R = TypeVar("R", bound=Rig)


@contextlib.contextmanager
def rigs(directory: Path, kind: type[R]) -> Iterator[Callable[..., R]]:
    """Makes rigs, with a directory of its own for the coordinator; ends them, and looks for what is left."""
    driver = directory / "driver"
    driver.mkdir()
    made: list[R] = []

    def make(**settings) -> R:
        made.append(kind(directory, **settings))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(driver))
        try:
            yield make
        finally:
            for rig in made:
                rig.close()
        assert list(driver.iterdir()) == [], "files of the coordinator are left"


class Study:
    """A study's channel, in short words."""

    def __init__(self, name: str, channel) -> None:
        self.name = name
        self.channel = channel
        self.reported = []
        channel.on_report = self.reported.append
        self._tids = itertools.count()

    def submit(self, *arguments: object) -> list[int]:
        proposals = [(next(self._tids), codec.dumps(argument)) for argument in arguments]
        self.channel.submit(proposals)
        return [tid for tid, _ in proposals]

    def settled(self):
        """The next trial to settle."""
        settled = self.channel.next_settled(time.monotonic() + SECONDS)
        assert settled is not None, "no trial settled"
        return settled

    def nothing_settles(self) -> bool:
        """Take the reports that are here; whether no trial has settled."""
        return self.channel.next_settled(0) is None

    def result(self):
        """The result of the next trial to settle."""
        settled = self.settled()
        assert settled.result is not None, settled
        return settled.result.load()


class Desk:
    """Takes a study's requests of one lane: the test looks at them, and answers when it likes."""

    def __init__(self, study, lane: Lane = Lane.TRIAL) -> None:
        self._channel = study.channel
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        study.channel.register(lane, self._requests.put)

    def next(self):
        """The next request."""
        return self._requests.get(timeout=SECONDS)

    def is_empty(self) -> bool:
        return self._requests.empty()

    def echo(self):
        """Answer the next request with what came with it, and return it."""
        request = self.next()
        self._channel.reply(request, request.body)
        return request

    def reply(self, request, *answer, **failure) -> None:
        self._channel.reply(request, *answer, **failure)


def process_a(task: subprocess.Popen) -> psutil.Process:
    """A worker's process A: the one child of its task."""
    (child,) = psutil.Process(task.pid).children()
    return child
