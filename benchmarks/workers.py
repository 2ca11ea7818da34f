"""How many workers can one driver serve? Real ones, 2 to 128, and a thousand that are simulated.

Real: ``local[128]``, so that Spark gives every worker a slot, whatever the cores. For each number of workers
a pool of its own: how long until so many trials run at once, what a no-op trial then costs, and how much
memory the workers' processes have. All of it runs on the cores of one machine, the workers too.

Simulated: one coordinator, and streams that say what a worker says, from processes of their own (streams.py).
Each trial of theirs takes a second or three, and as many more wait. How long does a worker have nothing to
do, from an outcome to the next assignment, and what does the coordinator's process use meanwhile? A pool
leases 128 trials at once at most; here it may lease as many as there are streams.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
import warnings
from dataclasses import asdict
from typing import Any, Final

import click
import cloudpickle
import psutil
from hyperopt import rand
from pyspark.sql import SparkSession

from benchmarks.objectives import Meeting, no_op
from benchmarks.peers import SPACE, local_session
from benchmarks.plots import Lines, Picture
from benchmarks.question import Figures, Form, question
from benchmarks.record import Record
from benchmarks.statistics import Spread, percentile
from benchmarks.streams import Spec, allow_files
from benchmarks.tables import Table
from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.coordinator import Coordinator, ObjectiveSpec, StudyChannel
from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.errors import PoolLostError
from sparkopt.wire import codec

_SECONDS: Final = 120.0
"""That anything here may take."""

_MIB: Final = 2**20

_LEAST, _MOST = 1.0, 3.0
"""Seconds that a simulated worker's trial takes."""

_PROCESSES: Final = 2
"""So many processes simulate workers."""


def _search(pool: WorkerPool, objective: Any, trials: int) -> float:
    began = time.perf_counter()
    found = SparkTrials(pool=pool, tracking=False)
    fmin(objective, SPACE, rand.suggest, trials, trials=found, verbose=False)
    return time.perf_counter() - began


def _real(session: SparkSession, number: int, trials: int) -> dict[str, float]:
    """One pool of so many workers."""
    began = time.perf_counter()
    with (
        tempfile.TemporaryDirectory(prefix="sparkopt-benchmark-") as directory,
        WorkerPool(number, spark_session=session) as pool,
    ):
        _search(pool, Meeting(directory, number, _SECONDS), number)
        together = time.perf_counter() - began
        memory = _memory_of_workers()
        _search(pool, no_op, trials // 10)
        cpu = time.process_time()
        seconds = _search(pool, no_op, trials)
        cpu = time.process_time() - cpu
    return {
        "seconds_to_all": together,
        "ms_per_trial": 1000 * seconds / trials,
        "driver_cpu_ms_per_trial": 1000 * cpu / trials,
        "mib_per_worker": memory / number / _MIB,
    }


def _memory_of_workers() -> int:
    """Bytes that the processes of Spark's Python workers have, with what they share counted once."""
    total = 0
    for process in psutil.Process().children(recursive=True):
        try:
            if "java" not in process.name():
                total += process.memory_full_info().pss
        except psutil.NoSuchProcess:
            continue
    return total


def _simulated(streams: int, seconds: float) -> dict[str, Any]:
    """So many streams to one coordinator, for about so many seconds."""
    allow_files(4 * streams + 1000)
    process = psutil.Process()
    before = process.memory_info().rss
    coordinator = Coordinator(
        streams,
        "127.0.0.1",
        lambda gang, generation, size: None,
        lambda reason, joined: PoolLostError(reason),
        Policy(cap=streams, start=_SECONDS),
    )
    simulators: list[subprocess.Popen[str]] = []
    try:
        endpoint = coordinator.start()
        coordinator.post_event(events.GangLaunched(0, streams))
        trials = round(streams * seconds / ((_LEAST + _MOST) / 2))
        study = coordinator.open_study("study", ObjectiveSpec(cloudpickle.dumps(no_op)))
        for number in range(_PROCESSES):
            first, last = (streams * place // _PROCESSES for place in (number, number + 1))
            spec = Spec(endpoint.address, endpoint.token, first, last - first, _LEAST, _MOST)
            simulators.append(_start(spec))
        argument = codec.dumps(0.0)
        study.submit([(tid, argument) for tid in range(streams + trials)])
        # Neither is counted what it costs to connect, nor the trials meanwhile.
        _wait_for(study, streams)
        cpu, began = time.process_time(), time.monotonic()
        memory = process.memory_info().rss
        _wait_for(study, trials)
        cpu, wall = time.process_time() - cpu, time.monotonic() - began
    finally:
        coordinator.expel_all()
        said = [simulator.communicate(timeout=_SECONDS)[0] for simulator in simulators]
        coordinator.close()
    if any(simulator.returncode for simulator in simulators):
        raise AssertionError("a process that simulates workers has failed; see above")
    waits = [1000 * wait for text in said for at, wait in json.loads(text)["waits"] if at >= began]
    return {
        "streams": streams,
        "trials": trials,
        "trials_per_second": trials / wall,
        "p50_ms": percentile(waits, 0.5),
        "p99_ms": percentile(waits, 0.99),
        "max_ms": max(waits),
        "cpu_share": cpu / wall,
        "cpu_ms_per_trial": 1000 * cpu / trials,
        "kib_per_stream": (memory - before) / streams / 1024,
    }


def _start(spec: Spec) -> subprocess.Popen[str]:
    simulator = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.streams"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert simulator.stdin is not None
    simulator.stdin.write(json.dumps(asdict(spec)))
    simulator.stdin.close()
    simulator.stdin = None  # communicate() would close it again
    return simulator


def _wait_for(study: StudyChannel, trials: int) -> None:
    """Take so many results."""
    deadline = time.monotonic() + _SECONDS
    for _ in range(trials):
        settled = study.next_settled(deadline)
        if settled is None or settled.result is None:
            raise AssertionError(f"a trial has no result: {settled}")


def _tables(record: Record) -> list[Table]:
    real = Table(
        f"workers: real ones on local[128], no-op objective, {record.settings['trials']:,} trials",
        (
            *("workers", "seconds until all run a trial", "ms a trial"),
            *("driver's CPU, ms a trial", "MiB a worker"),
        ),
        [
            (
                number,
                *(f"{Spread.of([each[what] for each in found]).median:,.2f}" for what in _REAL),
                f"{Spread.of([each['mib_per_worker'] for each in found]).median:,.1f}",
            )
            for number, found in record.figures["real"].items()
        ],
        ["Driver and workers share the machine's cores. Memory that processes share is counted once."],
    )
    simulated = Table(
        f"workers: simulated streams to one coordinator, trials of {_LEAST:g} to {_MOST:g} s",
        (
            *("streams", "trials", "trials a second", "p50, ms", "p99, ms", "max, ms"),
            *("coordinator's CPU, cores", "CPU, ms a trial", "KiB a stream"),
        ),
        [
            (
                f"{found['streams']:,}",
                f"{found['trials']:,}",
                f"{found['trials_per_second']:,.0f}",
                *(f"{found[what]:,.1f}" for what in ("p50_ms", "p99_ms", "max_ms")),
                f"{found['cpu_share']:.2f}",
                f"{found['cpu_ms_per_trial']:.2f}",
                f"{found['kib_per_stream']:,.0f}",
            )
            for found in record.figures["simulated"]
        ],
        ["p50, p99, max: from a worker's outcome to its next assignment, as the worker sees it."],
    )
    return [real, simulated]


_REAL: Final = ("seconds_to_all", "ms_per_trial", "driver_cpu_ms_per_trial")


def _picture(record: Record) -> Picture:
    real = record.figures["real"].items()
    points = [
        (float(number), Spread.of([each["ms_per_trial"] for each in found]).median) for number, found in real
    ]
    return Lines(
        "what a no-op trial costs, with so many workers on one machine", "workers", "ms", {"": points}
    )


@question(Form("How many workers can one driver serve?", _tables, picture=_picture))
@click.option(
    "--numbers",
    default="2,8,32,128",
    show_default=True,
    help="Of real workers, with commas between them.",
    callback=lambda ctx, param, value: [int(number) for number in value.split(",")],
)
@click.option("--trials", default=2000, show_default=True, type=click.IntRange(min=10), help="For each pool.")
@click.option("--rounds", default=1, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--streams",
    default="128,1000",
    show_default=True,
    help="Simulated ones, with commas between them.",
    callback=lambda ctx, param, value: [int(number) for number in value.split(",")],
)
@click.option(
    "--seconds", default=10.0, show_default=True, type=click.FloatRange(min=6), help="Of each simulation."
)
def workers(numbers: list[int], trials: int, rounds: int, streams: list[int], seconds: float) -> Figures:
    """What trials cost with many workers, and how fast many are served."""
    warnings.simplefilter("ignore")
    # First, while the driver has not grown: what it holds counts against the streams otherwise.
    simulated = [_simulated(each, seconds) for each in streams]
    real: dict[str, list[dict[str, float]]] = {str(each): [] for each in numbers}
    session = local_session(max(numbers))
    try:
        _real(session, 2, 10)
        for _ in range(rounds):
            for each in numbers:
                real[str(each)].append(_real(session, each, trials))
    finally:
        session.stop()
    return {"real": real, "simulated": simulated}
