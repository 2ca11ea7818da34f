"""The commands that change what a pool does; each prints what has become of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from sparkopt.cli.calling import calling, json_option, print_json, printable, study_option
from sparkopt.client import ControlClient, PoolStatus


@calling("pause")
@json_option
def pause(client: ControlClient, as_json: bool) -> None:
    """Start no further trial until `sparkopt resume`; what runs goes on."""
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
    """Have N trials run at once, at most as many as the pool was opened with.

    It holds from the moment when the command ends: with a smaller N, what runs may finish, and nothing starts
    until there is room.
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
@click.option("--reason", default="", metavar="TEXT", help="Goes into the trial's record.")
@json_option
def cancel(client: ControlClient, tid: int, study: str | None, reason: str, as_json: bool) -> None:
    """End the trial TID, waiting or running, without its result.

    A trial that has settled stays as it is.
    """
    trial = client.cancel_trial(tid, study, reason)
    if as_json:
        print_json(trial)
    else:
        click.echo(f"trial {printable(trial.study)}/{trial.tid} is {trial.state}")


@calling("drain")
@click.argument("worker")
@json_option
def drain(client: ControlClient, worker: str, as_json: bool) -> None:
    """Give WORKER no further trial; it leaves after the one that it runs.

    `sparkopt workers` lists the names.
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
    """Have a running search evaluate the points in FILE next (- for standard input).

    Each line is a JSON object: a value for each label of the space, for hp.choice the index of the option.
    All of them are submitted, or none. Prints the numbers of their trials.
    """
    tids = client.submit(_points(file), study)
    if as_json:
        click.echo(json.dumps({"tids": tids}))
    else:
        click.echo("\n".join(map(str, tids)))


def _points(file: Path) -> list[dict[str, Any]]:
    try:
        with click.open_file(str(file), encoding="utf-8") as lines:
            return [_point(number, line) for number, line in enumerate(lines, 1) if line.strip()]
    except OSError as error:
        raise click.UsageError(f"{file} cannot be read: {error.strerror or error}") from error


def _point(number: int, line: str) -> dict[str, Any]:
    try:
        point = json.loads(line)
    except ValueError as error:
        raise click.UsageError(f"line {number} is no JSON: {error}") from error
    if not isinstance(point, dict):
        raise click.UsageError(f"line {number} is no JSON object: a point has a value for each label")
    return point


@calling("stop")
@study_option
@click.option("--finish-running", is_flag=True, help="Let what runs finish, rather than cancel it.")
@json_option
def stop(client: ControlClient, study: str | None, finish_running: bool, as_json: bool) -> None:
    """End a study: what has finished is kept, and its `fmin` returns the best of it.

    A `sparkopt serve` ends with its study.
    """
    found = client.stop(study, finish_running)
    if as_json:
        print_json(found)
    else:
        counts = found.trials
        click.echo(f"study {printable(found.name)} ends: {counts.ok} trials ok, {counts.leased} running")
