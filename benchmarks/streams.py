"""Simulated workers, many streams in a process of their own: ``python -m benchmarks.streams``.

    spec (JSON, stdin) ──▶ so many streams, each on a connection of its own ──▶ what they saw (JSON, stdout)

Each says hello, sends heartbeats, and answers an assignment with an outcome after some time, as a worker does
whose objective only waits. It notes how long it had nothing to do: from an outcome to the next assignment.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import resource
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import Any

import grpc
import uvloop

from sparkopt.wire import codec
from sparkopt.wire.limits import channel_options
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import trial_pb2, worker_pb2, worker_pb2_grpc


@dataclass(frozen=True, slots=True)
class Spec:
    """What to simulate.

    Attributes:
        address: the coordinator's.
        token: for its calls.
        first: the number of the first worker; they are numbered throughout all processes.
        streams: how many workers.
        least: seconds that a trial takes at least.
        most: seconds that it takes at most.
    """

    address: str
    token: str
    first: int
    streams: int
    least: float
    most: float


@dataclass(slots=True)
class Seen:
    """What they saw.

    Attributes:
        waits: for each outcome, when it was sent on the system's monotonic clock, and how many seconds later
            the next assignment came.
    """

    waits: list[tuple[float, float]] = field(default_factory=list)


def allow_files(number: int) -> None:
    """Let this process have so many files open, as far as the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    allowed = number if hard == resource.RLIM_INFINITY else min(number, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))


class _Worker:
    """One stream."""

    def __init__(self, spec: Spec, number: int, seen: Seen) -> None:
        self._spec, self._number, self._seen = spec, number, seen
        self._draw = random.Random(number)
        self._sequence = 0
        self._since: float | None = None
        self._result = trial_pb2.Payload(inline=codec.dumps(0.0))
        self._turn = asyncio.Lock()

    async def run(self) -> None:
        """Work until it is sent away."""
        # Channels to the same address share a connection otherwise.
        options = [*channel_options(), ("grpc.use_local_subchannel_pool", 1)]
        async with grpc.aio.insecure_channel(self._spec.address, options) as channel:
            stub: Any = worker_pb2_grpc.WorkerServiceStub(channel)  # its types are those of blocking calls
            call = stub.Work(metadata=bearer(self._spec.token))
            name = f"gang0.1/worker{self._number}"
            hello = worker_pb2.Hello(worker=name, gang=0, generation=1, host="simulated", cores=2)
            await call.write(worker_pb2.WorkerMessage(hello=hello))
            beating: asyncio.Task[None] | None = None
            running: asyncio.Task[None] | None = None
            async for message in call:
                kind = message.WhichOneof("body")
                if kind == "welcome":
                    beating = asyncio.create_task(self._beat(call, message.welcome.heartbeat))
                elif kind == "assignment":
                    if running is not None:
                        await running
                    running = asyncio.create_task(self._evaluate(call, message.assignment.attempt))
                elif kind == "expulsion":
                    break
            for task in (beating, running):
                if task is None:
                    continue
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task  # it may have failed
            await call.done_writing()

    async def _write(self, call: Any, message: worker_pb2.WorkerMessage) -> None:
        # A stream takes one message at a time.
        async with self._turn:
            await call.write(message)

    async def _beat(self, call: Any, heartbeat: float) -> None:
        while True:
            await asyncio.sleep(heartbeat)
            await self._write(call, worker_pb2.WorkerMessage(heartbeat=worker_pb2.Heartbeat()))

    async def _evaluate(self, call: Any, attempt: trial_pb2.Attempt) -> None:
        if self._since is not None:
            self._seen.waits.append((self._since, time.monotonic() - self._since))
        seconds = self._draw.uniform(self._spec.least, self._spec.most)
        await asyncio.sleep(seconds)
        self._sequence += 1
        outcome = trial_pb2.Outcome(
            attempt=attempt,
            kind=trial_pb2.OutcomeKind.OUTCOME_KIND_OK,
            result=self._result,
            seconds=seconds,
        )
        self._since = time.monotonic()
        await self._write(call, worker_pb2.WorkerMessage(sequence=self._sequence, outcome=outcome))


async def _work(spec: Spec) -> Seen:
    seen = Seen()
    numbers = range(spec.first, spec.first + spec.streams)
    await asyncio.gather(*(_Worker(spec, number, seen).run() for number in numbers))
    return seen


def main() -> None:
    """Simulate what the standard input says."""
    spec = Spec(**json.load(sys.stdin))
    allow_files(4 * spec.streams + 1000)
    print(json.dumps(asdict(uvloop.run(_work(spec)))))


if __name__ == "__main__":
    main()
