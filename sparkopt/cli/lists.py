"""``sparkopt status``, ``workers`` and ``trials``: what there is now."""

from __future__ import annotations

import datetime
import json

import click
from rich.table import Table

from sparkopt.cli.calling import calling, console, json_option, number, print_json, printable
from sparkopt.client import ControlClient, PoolStatus, StudyInfo, TrialInfo, TrialState, WorkerInfo


@calling("status")
@json_option
def status(client: ControlClient, as_json: bool) -> None:
    """What a pool and its studies are doing."""
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
            "cancelled",
            "lost",
            "best loss",
            "of",
        ):
            table.add_column(heading, justify="right")
        for study in found.studies:
            table.add_row(*_study_row(study))
        console().print(table)


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
        f" {counts.failed} failed, {counts.cancelled} cancelled, {counts.lost} lost;"
        f" {status.trials_per_second:.1f} a second",
    ]


def local(time: datetime.datetime) -> str:
    """A time as the clock on the wall shows it."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _study_row(study: StudyInfo) -> list[str]:
    counts = study.trials
    numbers = [counts.submitted, counts.pending, counts.leased, counts.ok, counts.failed, counts.cancelled]
    of = "" if study.best_tid is None else f"trial {study.best_tid}"
    ended = "running" if study.ended is None else "ended"
    return [
        printable(study.name),
        study.kind,
        ended,
        *map(str, numbers),
        str(counts.lost),
        number(study.best_loss),
        of,
    ]


@calling("workers")
@json_option
def workers(client: ControlClient, as_json: bool) -> None:
    """The workers of a pool, and what they run."""
    found = client.workers()
    if as_json:
        for worker in found:
            print_json(worker)
        return
    table = workers_table()
    for worker in found:
        table.add_row(*worker_row(worker))
    console().print(table)


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


@calling("trials")
@click.option("--study", metavar="NAME", help="Whose trials.  [default: those of all studies]")
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice([state.value for state in TrialState if state is not TrialState.UNKNOWN]),
    help="Only those in this state; may be given again for another one.",
)
@json_option
def trials(client: ControlClient, study: str | None, states: tuple[str, ...], as_json: bool) -> None:
    """The trials of a pool, in the order in which they were submitted."""
    found = client.trials(study, states=states)
    if as_json:
        for trial in found:
            print_json(trial)
        return
    table = Table("trial", "is", "worker")
    for heading in ("attempt", "seconds", "loss"):
        table.add_column(heading, justify="right")
    table.add_column("values, or why it ended")
    for trial in found:
        table.add_row(*_trial_row(trial))
    console().print(table)


def _trial_row(trial: TrialInfo) -> list[str]:
    name = f"{printable(trial.study)}/{trial.tid}"
    seconds = f"{trial.seconds:.3f}" if trial.settled is not None else ""
    about = printable(trial.reason) or json.dumps(trial.values)
    numbers = [str(trial.attempt) if trial.attempt else "", seconds, number(trial.loss)]
    return [name, trial.state, printable(trial.worker), *numbers, about]
