"""``sparkopt story``: what a pool has recorded of a trial or a worker."""

from __future__ import annotations

import datetime

import click

from sparkopt.cli.calling import calling, json_option, study_option
from sparkopt.cli.printing import in_a_line, print_json, printable
from sparkopt.client import ControlClient, Story


@calling("story")
@click.argument("about", metavar="TID|WORKER")
@study_option
@json_option
def story(client: ControlClient, about: str, study: str | None, as_json: bool) -> None:
    """Tell what happened to the trial TID, or to WORKER.

    A line is an event, or behind an arrow a command that the pool gave because of it. The pool keeps its last
    few thousand of both. `sparkopt trials` and `sparkopt workers` list what there is to ask for.
    """
    found = client.story(_subject(about), study)
    if as_json:
        print_json(found)
        return
    for text in _lines(found):
        click.echo(text)


def _subject(about: str) -> int | str:
    """The number of a trial, or the name of a worker, which is never a number."""
    try:
        return int(about)
    except ValueError:
        return about


def _lines(story: Story) -> list[str]:
    told = []
    for line in story.lines:
        time = "" if line.time is None else _clock(line.time)
        told.append(f"{time}  {'-> ' if line.command else ''}{in_a_line(line.text)}")
    if story.left_out:
        told.insert(0, f"({story.left_out:,} older lines are left out)")
    if story.since is not None:
        told.insert(0, f"(what happened before {_clock(story.since)} is not kept any more)")
    if not story.lines:
        about = story.worker or f"{story.study}/{story.tid}"
        told.append(f"(nothing that is kept is about {printable(about)})")
    return told


def _clock(time: datetime.datetime) -> str:
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
