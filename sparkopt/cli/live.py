"""The live table of ``sparkopt watch``.

watch   ──▶ main thread: the last events, since when a trial runs ──┐
status, workers ──▶ a thread that asks once a second ───────────────┴──▶ Screen.draw ◀── rich's thread
"""

from __future__ import annotations

import datetime
import threading
from collections import deque
from typing import Final

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from sparkopt.cli.event_lines import line
from sparkopt.cli.lists import summary, worker_row, workers_table
from sparkopt.cli.printing import in_a_line, number, printable
from sparkopt.client import (
    ControlClient,
    Event,
    EventKind,
    PoolStatus,
    StudyInfo,
    TrialInfo,
    TrialState,
    WorkerInfo,
)
from sparkopt.errors import ControlError

_ASK_SECONDS: Final = 1.0
_DRAWN_A_SECOND: Final = 4
_EVENTS: Final = 8
_ENDS: Final = {TrialState.FAILED: "red", TrialState.LOST: "red", TrialState.PRUNED: "yellow"}
"""Ends without a result, of each of which the last is shown, and the colours of their lines."""


def show(
    client: ControlClient, study: str | None, after: int | None, console: Console, values: bool = True
) -> None:
    """Draw until the pool closes."""
    screen = Screen()
    with client.watch(after, study, values) as events:
        screen.ask(client)
        for trial in client.trials(states=[TrialState.LEASED, TrialState.PRUNING, TrialState.CANCELLING]):
            screen.runs(trial)
        over = threading.Event()
        asking = threading.Thread(
            target=_ask_again_and_again, args=(screen, client, over), name="sparkopt-watch", daemon=True
        )
        asking.start()
        try:
            with Live(
                get_renderable=screen.draw,
                console=console,
                refresh_per_second=_DRAWN_A_SECOND,
                vertical_overflow="crop",
            ):
                for event in events:
                    screen.add(event)
        finally:
            over.set()
            client.close()  # ends what the thread waits for
            asking.join()
    console.print("the pool has closed")


def _ask_again_and_again(screen: Screen, client: ControlClient, over: threading.Event) -> None:
    while not over.wait(_ASK_SECONDS):
        try:
            screen.ask(client)
        except ControlError as error:
            screen.trouble = str(error)


class Screen:
    """The contents of the live table.

    Attributes:
        trouble: why the table is not what it should be; empty if all is well.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._status: PoolStatus | None = None
        self._workers: list[WorkerInfo] = []
        self._events: deque[str] = deque(maxlen=_EVENTS)
        self._since: dict[tuple[str, int], datetime.datetime] = {}
        self._values: dict[tuple[str, int], str] = {}
        self._ended: dict[TrialState, str] = {}
        self.trouble = ""

    def ask(self, client: ControlClient) -> None:
        """Have what the service says now."""
        status, workers = client.status(), client.workers()
        with self._lock:
            self._status, self._workers, self.trouble = status, workers, ""

    def runs(self, trial: TrialInfo) -> None:
        """This trial runs, since when it says."""
        if trial.started is not None:
            with self._lock:
                self._since[trial.study, trial.tid] = trial.started

    def add(self, event: Event) -> None:
        """This has happened."""
        if event.value is not None:
            value = event.value
            with self._lock:
                self._values[value.study, value.tid] = f"{number(value.value)} at step {value.step}"
            return
        if event.trial is not None:
            if event.kind is EventKind.STARTED:
                self.runs(event.trial)
            elif event.kind in (EventKind.SETTLED, EventKind.REQUEUED):
                with self._lock:
                    self._since.pop((event.trial.study, event.trial.tid), None)
                    last = self._values.pop((event.trial.study, event.trial.tid), "")
                    if event.trial.state in _ENDS:
                        self._ended[event.trial.state] = _end_of(event.trial, last)
        with self._lock:
            self._events.append(line(event))

    def draw(self) -> RenderableType:
        """All of it."""
        with self._lock:
            parts: list[RenderableType] = []
            if self._status is not None:
                parts += [Text(text) for text in summary(self._status)]
                parts += [Text(text) for text in studies(self._status)]
            parts += [Text(text, style=_ENDS[state], no_wrap=True) for state, text in self._ended.items()]
            if self.trouble:
                parts.append(Text(in_a_line(self.trouble), style="red"))
            table = workers_table("for")
            for worker in self._workers:
                table.add_row(*worker_row(worker, self._for(worker)))
            return Group(*parts, table, *(Text(text, no_wrap=True, style="dim") for text in self._events))

    def _for(self, worker: WorkerInfo) -> str:
        """The time for which a worker has run its trial, and the newest value of that."""
        if worker.tid is None:
            return ""
        trial, words = (worker.study, worker.tid), []
        if (since := self._since.get(trial)) is not None:
            seconds = (datetime.datetime.now(datetime.timezone.utc) - since).total_seconds()
            words.append(f"{max(0.0, seconds):.1f} s")
        if (value := self._values.get(trial)) is not None:
            words.append(value)
        return ", ".join(words)


def studies(status: PoolStatus) -> list[str]:
    """A line for each study that goes on, or for all if none does: its trials by their ends, and its best."""
    return [_study(study) for study in status.studies if study.ended is None] or [
        _study(study) for study in status.studies
    ]


def _study(study: StudyInfo) -> str:
    counts = study.trials
    words = [f"{counts.leased} running", f"{counts.ok} ok"]
    others = ("failed", counts.failed), ("pruned", counts.pruned), ("lost", counts.lost)
    words += [f"{count} {word}" for word, count in others if count]
    if study.best_loss is not None:
        best = f"value {number(study.best_value)}" if study.directions else f"loss {number(study.best_loss)}"
        words.append(f"best {best} (trial {study.best_tid})")
    return f"{printable(study.name)}: {', '.join(words)}"


def _end_of(trial: TrialInfo, value: str) -> str:
    """The end of a trial without a result: why, and the last value that it has reported."""
    words = [f"last {trial.state}: {trial.study}/{trial.tid}", *([f"at {value}"] if value else [])]
    if trial.worker:
        words.append(f"on {trial.worker}")
    if trial.reason:
        words.append(f"({trial.reason})")
    return in_a_line(" ".join(words))
