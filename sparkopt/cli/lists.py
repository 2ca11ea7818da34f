"""``sparkopt status`` and ``workers``: what there is now."""

from __future__ import annotations

import click
from rich.table import Table

from sparkopt.cli.calling import calling, json_option
from sparkopt.cli.printing import local, number, print_json, print_table, printable
from sparkopt.client import ControlClient, PoolStatus, StudyInfo, WorkerInfo


@calling("status")
@json_option
def status(client: ControlClient, as_json: bool) -> None:
    """Show what a pool and its studies are doing."""
    found = client.status()
    if as_json:
        print_json(found)
        return
    click.echo("\n".join(summary(found)))
    if found.studies:
        table = Table("study", "kind", "is")
        for heading in (
            "submitted",
            "pending",
            "runs",
            "ok",
            "failed",
            "pruned",
            "cancelled",
            "lost",
            "best loss",
            "of",
        ):
            table.add_column(heading, justify="right")
        for study in found.studies:
            table.add_row(*_study_row(study))
        print_table(table)


def summary(status: PoolStatus) -> list[str]:
    """A pool in a few lines."""
    counts = status.trials
    opened = "" if status.opened is None else f", since {local(status.opened)}"
    limit = f"{status.parallelism} of {status.max_parallelism}"
    return [
        f"pool {printable(status.pool)} (sparkopt {printable(status.version)}){opened}",
        f"{'paused' if status.paused else 'runs'}; parallelism {limit}, {status.workers} workers,"
        f" idle {status.idle_share:.1%} of their time",
        f"{counts.submitted} trials: {counts.pending} pending, {counts.leased} running, {counts.ok} ok,"
        f" {counts.failed} failed, {counts.pruned} pruned, {counts.cancelled} cancelled, {counts.lost} lost;"
        f" {status.trials_per_second:.1f} a second",
    ]


def _study_row(study: StudyInfo) -> list[str]:
    counts = study.trials
    began = [counts.submitted, counts.pending, counts.leased]
    settled = [counts.ok, counts.failed, counts.pruned, counts.cancelled, counts.lost]
    of = "" if study.best_tid is None else f"trial {study.best_tid}"
    ended = "running" if study.ended is None else "ended"
    return [
        printable(study.name),
        study.kind,
        ended,
        *map(str, [*began, *settled]),
        number(study.best_loss),
        of,
    ]


@calling("workers")
@json_option
def workers(client: ControlClient, as_json: bool) -> None:
    """List the workers of a pool, and what they run."""
    found = client.workers()
    if as_json:
        for worker in found:
            print_json(worker)
        return
    if any(worker.gpus for worker in found):
        table = workers_table("GPUs")
        for worker in found:
            table.add_row(*worker_row(worker, printable(", ".join(worker.gpus))))
    else:
        table = workers_table()
        for worker in found:
            table.add_row(*worker_row(worker))
    print_table(table)


def workers_table(*more: str) -> Table:
    """An empty table of workers, with further columns."""
    table = Table("worker", "host", "is", "runs", *more)
    for heading in ("trials", "busy"):
        table.add_column(heading, justify="right")
    return table


def worker_row(worker: WorkerInfo, *more: str) -> list[str]:
    """A worker's cells."""
    runs = "" if worker.tid is None else f"{printable(worker.study)}/{worker.tid}"
    busy = f"{worker.busy_seconds:.1f} s"
    return [
        printable(worker.name),
        printable(worker.host),
        worker.state,
        runs,
        *more,
        str(worker.trials),
        busy,
    ]
