"""``sparkopt evaluate``: lines of points to lines of outcomes.

file, or standard input ──▶ _Reader, a thread ──▶ changes ──▶ main thread ──▶ EvaluationStream
outcomes, a line each   ◀── _Printer ◀──────────── main thread ◀── changes ◀──────┘

Standard input is read beside the outcomes, so that a program may choose its next point by the last outcome.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeAlias

import click

from sparkopt.cli import points
from sparkopt.cli.calling import CallError, calling, study_option
from sparkopt.cli.exits import Exit
from sparkopt.cli.printing import number, to_json
from sparkopt.cli.seconds import Seconds
from sparkopt.client import ControlClient, Evaluation, EvaluationStream, TrialState
from sparkopt.wire.limits import INTERRUPT_SECONDS

_Change: TypeAlias = "points.Line | Exception | None"
"""A point that was read, why no more can be, or that an outcome may be there."""

_ENDED: Final = EOFError()


@calling("evaluate")
@click.argument("file", metavar="FILE", type=click.Path(path_type=Path, allow_dash=True))
@study_option
@click.option("--ordered", is_flag=True, help="Print outcomes in the order of the points.")
@click.option(
    "--in-flight",
    type=click.IntRange(min=1),
    metavar="N",
    help="Most points without an outcome at a time.  [default: one more than trials can run at once]",
)
@click.option(
    "--within",
    type=Seconds(min=0, min_open=True),
    metavar="SECONDS",
    help="Longest to wait for all outcomes; trials that still run go on.  [default: no limit]",
)
@click.option(
    "--name",
    metavar="TEXT",
    help="Name of this list of points. The same command with the same name gets the outcomes that there are,"
    " and only the other points run.  [default: a new name]",
)
def evaluate(
    client: ControlClient,
    file: Path,
    study: str | None,
    ordered: bool,
    in_flight: int | None,
    within: float | None,
    name: str | None,
) -> None:
    """Have the points in FILE evaluated; print outcomes.

    For a pool that evaluates points from outside: `sparkopt serve`, or WorkerPool.open_evaluation. Each line
    of FILE (- for standard input) is a JSON object, a value for each label. A file is checked as a whole
    before anything is sent; standard input is sent line by line, as it comes.

    Prints a JSON object for each point, when it has its outcome: the `line` of the point, `id`, `tid`,
    `state` (ok, failed, pruned, cancelled, lost, rejected), `loss`, `seconds`, `values`, `result`, `error`,
    `traceback`. A summary goes to standard error. A connection that is lost is made again, and no point runs
    twice for it.
    """
    lines = points.stream() if file == points.STANDARD_INPUT else points.read(file)
    limit = in_flight or client.status().max_parallelism + 1
    printer = _Printer(ordered)
    try:
        with client.evaluation(study) as stream:
            _Conversation(stream, lines, limit, name, within).run(printer)
    finally:
        printer.sum_up()
    if not printer.all_ok:
        raise click.exceptions.Exit(Exit.FAILED)


class _Conversation:
    """Points into a stream and outcomes out of it, until both are at their end.

    Args:
        stream: to the service.
        lines: the points.
        limit: how many of them may be without an outcome.
        name: what their ids begin with; None for ids that nobody has had.
        within: how many seconds it may take.
    """

    def __init__(
        self,
        stream: EvaluationStream,
        lines: Iterable[points.Line],
        limit: int,
        name: str | None,
        within: float | None,
    ) -> None:
        self._stream, self._lines, self._name = stream, lines, name
        self._within = within
        self._until = math.inf if within is None else time.monotonic() + within
        self._room = threading.Semaphore(limit)
        self._changes: queue.SimpleQueue[_Change] = queue.SimpleQueue()
        self._sent: dict[str, int] = {}

    def run(self, printer: _Printer) -> None:
        """Have all points evaluated.

        Raises:
            RefusedError: at a line that is not a point, once what was sent before has its outcomes.
            ControlError: what has ended the stream.
            CallError: if the time is over.
        """
        # A daemon: nothing wakes it while it waits for a line of standard input.
        threading.Thread(target=self._read, name="sparkopt-points", daemon=True).start()
        self._stream.on_change(lambda: self._changes.put(None))
        ended: Exception | None = None
        while ended is None or self._stream.outstanding:
            change = self._next()
            if isinstance(change, tuple):
                self._send(*change, printer)
            elif change is not None:
                ended = change
                self._stream.finish()
            while (evaluation := self._stream.take()) is not None:
                self._room.release()
                printer.add(self._sent.pop(evaluation.id), evaluation)
        if ended is not _ENDED:
            raise ended

    def _next(self) -> _Change:
        left = max(0.0, self._until - time.monotonic())
        try:
            return self._changes.get(timeout=min(left, INTERRUPT_SECONDS))
        except queue.Empty:
            if left > INTERRUPT_SECONDS:
                return None
            raise CallError(f"the {self._within:g} s are over; running trials go on", Exit.FAILED) from None

    def _send(self, line: int, point: dict[str, Any], printer: _Printer) -> None:
        identifier = self._stream.submit(point, None if self._name is None else f"{self._name}-{line}")
        self._sent[identifier] = line
        printer.expect(line)

    def _read(self) -> None:
        try:
            for line in self._lines:
                self._room.acquire()
                self._changes.put(line)
        except Exception as error:  # noqa: BLE001 - it is raised where somebody waits for the points
            self._changes.put(error)
        else:
            self._changes.put(_ENDED)


class _Printer:
    """Prints outcomes, and how many there were of each kind.

    Args:
        ordered: hold each back until all before it are printed.
    """

    def __init__(self, ordered: bool) -> None:
        self._ordered = ordered
        self._waiting: dict[int, Evaluation | None] = {}
        self._states: Counter[str] = Counter()
        self._best: tuple[float, int] | None = None
        self._began = time.monotonic()

    @property
    def all_ok(self) -> bool:
        """True if each point that was sent is ok."""
        return not self._waiting and set(self._states) <= {TrialState.OK}

    def expect(self, line: int) -> None:
        """The point of this line was sent."""
        self._waiting[line] = None

    def add(self, line: int, evaluation: Evaluation) -> None:
        """The outcome of a line's point."""
        self._states[_state(evaluation)] += 1
        if evaluation.loss is not None:
            self._best = min(self._best or (evaluation.loss, line), (evaluation.loss, line))
        self._waiting[line] = evaluation
        while self._waiting:
            each = next(iter(self._waiting)) if self._ordered else line
            found = self._waiting.get(each)
            if found is None:
                return
            del self._waiting[each]
            click.echo(to_json(_outcome(each, found)))

    def sum_up(self) -> None:
        """Say what has become of all of it."""
        missing = sum(evaluation is None for evaluation in self._waiting.values())
        kinds = [f"{count} {state}" for state, count in sorted(self._states.items())]
        if missing:
            kinds.append(f"{missing} without an outcome")
        total = self._states.total() + missing
        best = "" if self._best is None else f"; best loss {number(self._best[0])} (line {self._best[1]})"
        seconds = time.monotonic() - self._began
        click.echo(f"{total} points: {', '.join(kinds) or 'none sent'}{best}; {seconds:.1f} s", err=True)


def _state(evaluation: Evaluation) -> str:
    return "rejected" if evaluation.trial is None else evaluation.trial.state.value


def _outcome(line: int, evaluation: Evaluation) -> dict[str, Any]:
    trial, failure = evaluation.trial, evaluation.failure
    if trial is None:
        error: str | None = f"{evaluation.rejected}: {evaluation.message}"
    elif failure is not None:
        error = f"{failure.type}: {failure.message}"
    else:
        error = trial.reason or None
    return {
        "line": line,
        "id": evaluation.id,
        "tid": None if trial is None else trial.tid,
        "state": _state(evaluation),
        "loss": evaluation.loss,
        "seconds": None if trial is None else trial.seconds,
        "values": evaluation.point,
        "result": evaluation.result,
        "error": error,
        "traceback": None if failure is None else failure.traceback or None,
    }
