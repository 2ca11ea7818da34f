"""What does a point cost that comes from outside? A no-op objective, one Python client in another process.

The client streams its points over Evaluate and reads the outcomes as they come, on this machine, beside the
driver and its workers. What is reported is the time from its first point to its last outcome, per point: the
median over the rounds, each with a stream of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Final

import click

from benchmarks.objectives import no_op
from benchmarks.peers import local_session
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread
from benchmarks.tables import Table, spread_cells
from sparkopt import WorkerPool

LIMIT: Final = 1.0
"""Milliseconds that a point may cost."""

_SECONDS: Final = 300


def _tables(record: Record) -> list[Table]:
    settings, spread = record.settings, Spread.of(record.figures["ms_per_point"])
    title = (
        f"control: no-op objective, points from one client in another process, {settings['rounds']} x"
        f" {settings['points']:,} points, {settings['parallelism']} workers"
    )
    columns = ("", "ms a point, median", "min", "max")
    return [Table(title, columns, [("Evaluate", *spread_cells(spread))])]


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    return [Limit("a point from outside", LIMIT, Spread.of(figures["ms_per_point"]).median, unit="ms")]


@question(Form("What does a point cost that comes from outside, over gRPC?", _tables, _limits))
@click.option("--points", default=2000, show_default=True, type=click.IntRange(min=1))
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
def control(points: int, parallelism: int, rounds: int) -> Figures:
    """Milliseconds a point that a client has evaluated over gRPC, with an objective that does nothing."""
    session = local_session(parallelism)
    try:
        with (
            WorkerPool(parallelism, spark_session=session, control=True) as pool,
            pool.open_evaluation(no_op),
        ):
            _measure(pool, parallelism, 1)  # the workers are up, and have the objective
            seconds = _measure(pool, points, rounds)
    finally:
        session.stop()
    return {"ms_per_point": [1000 * each / points for each in seconds]}


def _measure(pool: WorkerPool, points: int, rounds: int) -> list[float]:
    """The seconds that each round took in a client of its own process."""
    task = {"address": pool.control_address, "token": pool.control_token, "points": points, "rounds": rounds}
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.control"],
        input=json.dumps(task),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=_SECONDS,
    )
    seconds: list[float] = json.loads(done.stdout)
    return seconds


def client() -> None:
    """The client: is told on standard input what to do, and says on standard output how long it took."""
    import grpc

    from sparkopt.wire.limits import channel_options
    from sparkopt.wire.tokens import bearer
    from sparkopt.wire.v1 import control_pb2, control_pb2_grpc

    task = json.load(sys.stdin)
    taken = []
    with grpc.insecure_channel(task["address"], channel_options()) as channel:
        stub = control_pb2_grpc.ControlServiceStub(channel)
        for number in range(task["rounds"]):
            requests = [
                control_pb2.EvaluateRequest(
                    id=f"{time.time_ns()}-{number}-{index}",
                    point=control_pb2.Point(json=f'{{"x": {index / 7}}}'),
                )
                for index in range(task["points"])
            ]
            began = time.perf_counter()
            answers = list(stub.Evaluate(iter(requests), metadata=bearer(task["token"])))
            taken.append(time.perf_counter() - began)
            assert len(answers) == len(requests)
            assert all(answer.evaluation.result for answer in answers)
    json.dump(taken, sys.stdout)


if __name__ == "__main__":
    client()
