"""A script: a supervisor with its nursery and evaluators, which runs a list of requests and says what came.

Started by conftest.py in a process of its own, as a nursery must be forked before there are threads.
"""

from __future__ import annotations

import asyncio
import pickle
import sys
from dataclasses import dataclass, field
from pathlib import Path

# Loaded before evaluators are forked, as it may be in Spark's Python worker.
import numpy.random  # noqa: F401
import uvloop

from sparkopt.wire import codec
from sparkopt.worker.frames import Frame, Kind
from sparkopt.worker.nursery_handle import NurseryHandle
from sparkopt.worker.supervisor import EvaluatorEnded, RunCancelled, Supervisor


@dataclass
class Request:
    """Something to be evaluated."""

    objective: str
    argument: object
    in_file: bool = False
    cancel: bool = False
    timed: bool = False
    label: str = "trial"


@dataclass
class Answer:
    """What came of it: ``result``, ``failure``, ``ended`` or ``cancelled``."""

    kind: str
    header: dict
    payload: bytes = b""
    in_file: bool = False
    ended: str = ""
    fault: str | None = None
    unheard: bool = False
    peak_memory: int = 0
    heard: list = field(default_factory=list)

    def load(self):
        return pickle.loads(self.payload)


async def evaluate(supervisor: Supervisor, directory: Path, request: Request) -> Answer:
    header = {
        "objective": request.objective,
        "objective_file": request.objective,
        "timed": request.timed,
        "trial": (0, 1, "a worker"),
    }
    payload = codec.dumps(request.argument)
    if request.in_file:
        file = directory / "argument"
        file.write_bytes(payload)
        header["argument_file"], payload = str(file), b""
    heard = []

    def hear(frame):
        heard.append((frame.kind.name, frame.header, frame.payload))
        if frame.kind is Kind.REPORT:
            supervisor.say(Frame(Kind.REPORTED, {"id": frame.header["id"]}))

    run = supervisor.run(Frame(Kind.RUN, header, payload), request.label, hear)
    running = asyncio.ensure_future(run)
    if request.cancel:
        asyncio.get_running_loop().call_soon(supervisor.cancel)
    try:
        frame = await running
    except EvaluatorEnded as ended:
        return Answer(
            "ended",
            {},
            ended=str(ended),
            fault=ended.fault,
            unheard=ended.unheard,
            peak_memory=ended.peak_memory,
            heard=heard,
        )
    except RunCancelled:
        return Answer("cancelled", {})
    payload = frame.payload
    file = frame.header.pop("file", None)
    if file is not None:
        payload = Path(file).read_bytes()
        Path(file).unlink()
    kind = frame.kind.name.lower()
    return Answer(kind, frame.header, payload, in_file=file is not None, heard=heard)


async def main(handle: NurseryHandle, directory: Path, requests: list[Request]) -> list[Answer]:
    supervisor = Supervisor(handle)
    try:
        return [await evaluate(supervisor, directory, request) for request in requests]
    finally:
        supervisor.close()


def open_descriptors() -> set[str]:
    return {path.name for path in Path("/proc/self/fd").iterdir()}


if __name__ == "__main__":
    from tests.worker import evaluations  # by this name, the one that the test knows it by, not as __main__

    directory, requests = pickle.load(sys.stdin.buffer)
    before = open_descriptors()
    handle = NurseryHandle(directory)
    handles = open_descriptors() - before
    uvloop.new_event_loop().close()  # the first loop of a process opens a pipe that stays
    descriptors = open_descriptors() - handles
    answers = uvloop.run(evaluations.main(handle, directory, requests))
    handle.bury()
    left = {name: Path("/proc/self/fd", name).readlink() for name in open_descriptors() - descriptors}
    assert open_descriptors() == descriptors, left
    assert "grpc" not in sys.modules
    sys.stdout.buffer.write(pickle.dumps(answers))
