"""Events of a study's trials, with the payloads that the core does not see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sparkopt.coordinator.channels.payload import Payload
from sparkopt.core.states import Outcome
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2


@dataclass(frozen=True, slots=True)
class Started:
    """An attempt was sent to a worker.

    Attributes:
        tid: the trial's number within its study.
        attempt: its number, from 1.
        time: when, in seconds since the epoch.
        monotonic: the same moment on the monotonic clock.
        waited: how many seconds its worker had nothing to do before the trial was proposed.
    """

    tid: int
    attempt: int
    time: float
    monotonic: float
    waited: float = 0.0


@dataclass(frozen=True, slots=True)
class Reported:
    """A trial that runs says something.

    Attributes:
        tid: the trial's number within its study.
        kind: what it is about.
        name: of the attachment, if it is about one.
        body: the pickled value.
    """

    tid: int
    kind: ReportKind
    name: str
    body: Payload | None


@dataclass(frozen=True, slots=True)
class ReportedValues:
    """Intermediate values of a trial that runs, in the order in which its objective has reported them.

    Attributes:
        tid: the trial's number within its study.
        attempt: the number of its attempt.
        steps: of the values, from 0.
        values: as many.
    """

    tid: int
    attempt: int
    steps: Sequence[int]
    values: Sequence[float]


@dataclass(frozen=True, slots=True)
class Request:
    """A trial that runs asks for something, and waits for the reply.

    Attributes:
        tid: the trial's number within its study.
        attempt: the number of its attempt.
        worker: which worker asks.
        id: rises with each request of the attempt.
        method: what is asked for, without the lane that it was asked in.
        body: what the method needs; a file is the taker's to remove. It is the worker's word, and no more.
    """

    tid: int
    attempt: int
    worker: str
    id: int
    method: str
    body: bytes | Path


@dataclass(frozen=True, slots=True)
class CpuOversubscription:
    """Workers of a host whose objectives use more threads together than it has cores.

    Attributes:
        host: its name.
        workers: how many there are.
        threads: how many threads each one's BLAS or OpenMP libraries use.
        cores: how many CPUs they may use together.
    """

    host: str
    workers: int
    threads: int
    cores: int


@dataclass(frozen=True, slots=True)
class Settled:
    """A trial has its final state.

    Attributes:
        tid: the trial's number within its study.
        attempt: the number of the attempt that decided it; 0 if it never ran.
        outcome: its final state.
        worker: which worker decided it, if any.
        host: where that worker runs, if it is connected.
        gpus: addresses of the GPUs that the trial saw there.
        reason: why, if it was cancelled or lost.
        result: the pickled result, if the outcome is OK.
        failure: what the worker says of it, if the outcome is FAILED.
        exception: the pickled exception, if the outcome is FAILED and it pickles.
        time: when, in seconds since the epoch.
        seconds: time spent in the objective.
        loss: the worker's word for what the loss is, if it is a number; the result is what counts.
        fault: the worker's reason, in a line, why the result is unusable or says that the trial has failed.
        objective_values: the worker's word for the numbers that the result consists of, where the front end
            has workers say them.
        oversubscription: set if the host of its worker has too few cores for its workers' threads.
    """

    tid: int
    attempt: int
    outcome: Outcome
    worker: str | None = None
    host: str = ""
    reason: str = ""
    result: Payload | None = None
    failure: trial_pb2.Failure | None = None
    exception: Payload | None = None
    time: float = 0.0
    seconds: float = 0.0
    loss: float | None = None
    fault: str = ""
    oversubscription: CpuOversubscription | None = None
    gpus: tuple[str, ...] = ()
    objective_values: tuple[float, ...] = ()
