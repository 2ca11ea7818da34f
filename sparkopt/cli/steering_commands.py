"""Commands that change what a pool does; each prints what has become of it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from sparkopt.cli import points
from sparkopt.cli.calling import calling, json_option, study_option
from sparkopt.cli.printing import print_json, printable
from sparkopt.client import ControlClient, PoolStatus


@calling("pause")
@json_option
def pause(client: ControlClient, as_json: bool) -> None:
    """Start no further trial until `sparkopt resume`.

    What runs goes on.
    """
    _say_status(client.pause(), as_json)


@calling("resume")
@json_option
def resume(client: ControlClient, as_json: bool) -> None:
    """Start trials again after `sparkopt pause`."""
    _say_status(client.resume(), as_json)


@calling("set-parallelism")
@click.argument("parallelism", metavar="N", type=click.IntRange(min=1))
@json_option
def set_parallelism(client: ControlClient, parallelism: int, as_json: bool) -> None:
    """Have N trials run at once.

    N is at most what the pool was opened with. It holds from the moment when the command ends: with a smaller
    N, running trials may finish, and none starts until there is room.
    """
    _say_status(client.set_parallelism(parallelism), as_json)


def _say_status(status: PoolStatus, as_json: bool) -> None:
    if as_json:
        print_json(status)
        return
    state = "paused" if status.paused else "runs"
    click.echo(f"{state}; parallelism {status.parallelism}, {status.trials.leased} trials running")


@calling("cancel")
@click.argument("tid", type=int)
@study_option
@click.option("--reason", default="", metavar="TEXT", help="Reason for the trial's record.")
@click.option("--prune", is_flag=True, help="If it runs, tell it to stop as pruned.")
@json_option
def cancel(
    client: ControlClient, tid: int, study: str | None, reason: str, prune: bool, as_json: bool
) -> None:
    """End the trial TID, waiting or running.

    It is recorded as cancelled, without a result. A trial that has settled stays as it is.

    With --prune the objective is told to stop at its next report, and the trial is recorded as pruned.
    """
    trial = client.cancel_trial(tid, study, reason, prune)
    if as_json:
        print_json(trial)
    else:
        click.echo(f"trial {printable(trial.study)}/{trial.tid} is {trial.state}")


@calling("drain")
@click.argument("worker")
@json_option
def drain(client: ControlClient, worker: str, as_json: bool) -> None:
    """Give WORKER no further trial.

    It leaves after the one that it runs. `sparkopt workers` lists the names.
    """
    found = client.drain_worker(worker)
    if as_json:
        print_json(found)
    else:
        click.echo(f"worker {printable(found.name)} is {found.state}")


@calling("submit")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True))
@study_option
@json_option
def submit(client: ControlClient, file: Path, study: str | None, as_json: bool) -> None:
    """Have a search evaluate the points in FILE next.

    Each line of FILE (- for standard input) is a JSON object: a value for each label of the space, for
    hp.choice the index of the option. All of them are submitted, or none. Prints the numbers of their trials.
    """
    tids = client.submit([point for _, point in points.read(file)], study)
    if as_json:
        click.echo(json.dumps({"tids": tids}))
    else:
        click.echo("\n".join(map(str, tids)))


@calling("stop")
@study_option
@click.option("--finish-running", is_flag=True, help="Let running trials finish instead of cancelling them.")
@json_option
def stop(client: ControlClient, study: str | None, finish_running: bool, as_json: bool) -> None:
    """End a study; what has finished is kept.

    The `fmin` of a search returns its best result. A `sparkopt serve` ends with its study.
    """
    found = client.stop(study, finish_running)
    if as_json:
        print_json(found)
    else:
        counts = found.trials
        click.echo(f"study {printable(found.name)} ends: {counts.ok} trials ok, {counts.leased} running")
