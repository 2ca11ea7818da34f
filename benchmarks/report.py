"""RESULTS.md, made from records alone: what cannot be found in a record is not in it.

records/QUESTION.json ──▶ the question's own tables, limits and notes ──▶ RESULTS.md
plots/QUESTION.svg    ──▶ shown if it is there
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from benchmarks.peers import PEERS
from benchmarks.plots import draw
from benchmarks.question import Question
from benchmarks.questions import QUESTIONS
from benchmarks.record import Limit, Record

HOME: Final = Path(__file__).parent
RECORDS: Final = HOME / "records"
PLOTS: Final = HOME / "plots"
RESULTS: Final = HOME / "RESULTS.md"

_INTRODUCTION: Final = """\
# Results

Written by `scripts/bench` from what it measured (`benchmarks/records/`), and by nobody's hand. What each
question measures, and how the comparison is kept fair, is in [docs/benchmarks.md](../docs/benchmarks.md).
Compare ratios rather than milliseconds: machines differ, and the same machine does from day to day.
"""


def read_records(directory: Path, questions: Mapping[str, Question]) -> dict[str, Record]:
    """The records of the questions that have one.

    Raises:
        ValueError: if a file is no record.
    """
    paths = {name: directory / f"{name}.json" for name in questions}
    return {name: Record.read(path) for name, path in paths.items() if path.exists()}


def results(
    records: Mapping[str, Record],
    questions: Mapping[str, Question],
    plots: Mapping[str, str],
) -> str:
    """The text of RESULTS.md.

    Args:
        records: by question.
        questions: all that there are, in the order in which they are shown.
        plots: addresses of pictures, by question.
    """
    parts = [_INTRODUCTION, _limits(records, questions)]
    if records:
        parts.append(_conditions(records))
    parts += [
        _answer(records[name], each, plots.get(name)) for name, each in questions.items() if name in records
    ]
    return "\n".join(parts)


def _limits(records: Mapping[str, Record], questions: Mapping[str, Question]) -> str:
    by_outcome: dict[bool | None, list[tuple[str, Limit]]] = {False: [], None: [], True: []}
    for name in questions:
        for limit in records[name].limits if name in records else ():
            by_outcome[limit.met].append((name, limit))
    unasked = [name for name in questions if name not in records]
    lines = ["## Limits", ""]
    missed, unmeasured, met = by_outcome[False], by_outcome[None], by_outcome[True]
    if missed:
        lines += [f"**Missed: {len(missed)}**", "", *(_line(name, limit) for name, limit in missed), ""]
    elif met and not (unmeasured or unasked):
        lines += ["All limits are met.", ""]
    elif met:
        lines += ["No limit that was measured is missed.", ""]
    if unasked:
        lines += [f"**Without a record**, because it was not asked or failed: {', '.join(unasked)}", ""]
    if unmeasured:
        lines += ["Not measured:", "", *(_line(name, limit) for name, limit in unmeasured), ""]
    if met:
        lines += ["Met:", "", *(_line(name, limit) for name, limit in met), ""]
    return "\n".join(lines)


def _line(name: str, limit: Limit) -> str:
    return f"- [{name}](#{name}): {limit.text}"


def _conditions(records: Mapping[str, Record]) -> str:
    """The machine and the versions: of all records together, or of each where they differ."""
    lines = ["## Machine and versions", ""]
    groups: dict[str, list[str]] = {}
    for name, record in records.items():
        groups.setdefault(_condition(record), []).append(name)
    for text, names in groups.items():
        if len(groups) > 1:
            lines += [f"{', '.join(names)}:", ""]
        lines += [text, ""]
    return "\n".join(lines)


def _condition(record: Record) -> str:
    machine: dict[str, Any] = record.machine
    memory = f", {machine['memory_gib']:g} GiB" if "memory_gib" in machine else ""
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    return (
        f"{machine['cores']} cores ({machine['processor']}){memory}, {machine['system']}, Python"
        f" {machine['python']}; {versions}."
    )


def _answer(record: Record, asked: Question, plot: str | None) -> str:
    lines = [f"## {record.question}", "", asked.form.asks, ""]
    for table in asked.form.tables(record):
        lines += [table.markdown(), ""]
    for name, why in record.missing.items():
        title = PEERS[name].title if name in PEERS else name
        lines += [f"Missing: {title}: {why}.", ""]
    if asked.form.tried and any(limit.met is False for limit in record.limits):
        lines += ["A limit is missed. What was tried:", "", *(f"- {each}" for each in asked.form.tried), ""]
    if plot is not None:
        lines += [f"![{asked.form.asks}]({plot})", ""]
    took = "" if record.seconds is None else f", took {record.seconds:,.0f} s"
    busy = "" if record.load is None else f", the machine's load before was {record.load:g}"
    lines += [f"`{_command(record)}`; {record.time}{took}{busy}.", ""]
    return "\n".join(lines)


def _command(record: Record) -> str:
    against = record.settings.get("against")
    return f"python -m benchmarks {record.question}" + (f" --against {' '.join(against)}" if against else "")


def pictures(records: Mapping[str, Record]) -> dict[str, Path]:
    """The files of the pictures that these records have, by question."""
    return {name: PLOTS / f"{name}.svg" for name in records if QUESTIONS[name].form.picture is not None}


def write_results() -> dict[str, Record]:
    """Draw the records' pictures and write RESULTS.md.

    Returns:
        The records that are in it, by question.
    """
    found = read_records(RECORDS, QUESTIONS)
    PLOTS.mkdir(exist_ok=True)
    shown = pictures(found)
    for name, path in shown.items():
        picture = QUESTIONS[name].form.picture
        assert picture is not None
        draw(picture(found[name]), path)
    RESULTS.write_text(text_of(found))
    return found


def text_of(records: Mapping[str, Record]) -> str:
    """The text of RESULTS.md for these records, with the pictures that they have."""
    shown = {name: str(path.relative_to(HOME)) for name, path in pictures(records).items()}
    return results(records, QUESTIONS, shown)


@click.command()
def report() -> None:
    """Write RESULTS.md and its pictures again, from the records that are there."""
    found = write_results()
    click.echo(f"{RESULTS.name}: {', '.join(found) or 'no records'}")
