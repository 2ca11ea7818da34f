"""Record of a machine's events and commands, for people who have to find out why something happened.

The last few thousand are kept as they are, and put into words only when somebody asks.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, fields
from typing import Final

from sparkopt.core.commands import Assign, Command, Expel, Settle
from sparkopt.core.events import (
    CancelRequested,
    DrainRequested,
    Event,
    GangEnded,
    Heartbeat,
    LossExplained,
    PruneRequested,
    StreamLost,
    Tick,
    TrialsSubmitted,
    WorkerGone,
    WorkerJoined,
)
from sparkopt.core.states import Lease, Outcome, TrialKey

_SILENT = (Heartbeat, Tick)

_FATES: Final = frozenset(
    {WorkerJoined, StreamLost, Heartbeat, WorkerGone, LossExplained, GangEnded, DrainRequested, Expel}
)
"""Events and commands that change the state of a worker, whatever it runs."""

_CHARACTERS: Final = 1000
"""Most characters of a text in a line."""

_ITEMS: Final = 8
"""Most items of a tuple in a line."""


@dataclass(frozen=True, slots=True)
class Line:
    """An event or a command, and its time.

    Attributes:
        now: seconds on the machine's clock.
        item: the event or command.
    """

    now: float
    item: Event | Command

    @property
    def is_command(self) -> bool:
        """True if the machine commanded it; otherwise it happened to the machine."""
        return isinstance(self.item, Command)

    @property
    def text(self) -> str:
        """The event or command in words: one line of a few thousand characters at most."""
        return _words(self.item)


@dataclass(frozen=True, slots=True)
class Followed:
    """Lines about one trial or worker.

    Attributes:
        lines: oldest first.
        since: the machine's time from which lines are kept; None if none was ever dropped.
    """

    lines: list[Line]
    since: float | None


class Story:
    """A bounded record of events and commands, oldest first."""

    def __init__(self, length: int = 4096) -> None:
        self._lines: deque[tuple[float, Event | Command]] = deque(maxlen=length)

    def add(self, now: float, event: Event, commands: list[Command]) -> None:
        """Record one step. Heartbeats and ticks that led to no command are left out."""
        if commands or not isinstance(event, _SILENT):
            self._lines.append((now, event))
            self._lines.extend(zip(itertools.repeat(now), commands))

    def lines(self, about: TrialKey | str | None = None) -> list[str]:
        """One line for each event and command: all, or those that name a trial or a worker.

        Times are in seconds since the first line that is still known.
        """
        if not self._lines:
            return []
        start = self._lines[0][0]
        return [
            f"{now - start:10.3f}  {_words(item)}"
            for now, item in self._lines
            if about is None or _concerns(item, about)
        ]

    def follow(self, about: TrialKey | str) -> Followed:
        """The lines that name a trial or a worker, and those that explain what became of it.

        A worker's story has the end of its gang too, and its return under another name. A trial's story has
        what happened to its worker while the worker had it, and what Spark says later of the loss of that
        worker. The end of the study is left out if the trial has settled by then.
        """
        found = []
        gangs: dict[str, tuple[int, int]] = {}
        worker = about if isinstance(about, str) else None
        before: set[str] = set()
        settled = False
        for now, item in self._lines:
            if isinstance(item, WorkerJoined):
                gangs[item.worker] = item.gang, item.generation
            if settled and isinstance(item, CancelRequested) and item.tid is None:
                continue
            explained = isinstance(item, LossExplained) and item.worker in before
            if (
                (explained and not settled)
                or _concerns(item, about)
                or (worker is not None and type(item) in _FATES and _befalls(item, worker, gangs.get(worker)))
            ):
                found.append(Line(now, item))
            if isinstance(about, TrialKey):
                if isinstance(item, Assign) and item.lease.trial == about:
                    worker = item.worker
                    before.add(worker)
                elif isinstance(item, Settle) and item.trial == about:
                    worker, settled = None, True
        full = len(self._lines) == self._lines.maxlen
        return Followed(found, self._lines[0][0] if full else None)


def _concerns(item: Event | Command, about: TrialKey | str) -> bool:
    if isinstance(about, str):
        return getattr(item, "worker", None) == about
    lease = getattr(item, "lease", None) or getattr(item, "holding", None)
    if isinstance(lease, Lease):
        return lease.trial == about
    if getattr(item, "trial", None) == about:
        return True
    if isinstance(item, TrialsSubmitted):
        return item.study == about.study and about.tid in item.tids
    if isinstance(item, (CancelRequested, PruneRequested)):
        return item.study == about.study and item.tid in (about.tid, None)
    return False


def _befalls(item: Event | Command, worker: str, gang: tuple[int, int] | None) -> bool:
    """Returns whether one of the fates is that of a worker, whose gang and generation may be known."""
    if isinstance(item, GangEnded):
        return worker in item.lost or gang == (item.gang, item.generation)
    if isinstance(item, WorkerJoined) and item.formerly == worker:
        return True
    return getattr(item, "worker", None) == worker


def _words(item: Event | Command) -> str:
    said = (f"{field.name}={_value(getattr(item, field.name))}" for field in fields(item))
    return f"{type(item).__name__}({', '.join(said)})"


def _value(value: object) -> str:
    if isinstance(value, (Lease, TrialKey)):
        return str(value)
    if isinstance(value, Outcome):
        return str(value.value)
    if isinstance(value, str) and len(value) > _CHARACTERS:
        return f"{value[:_CHARACTERS]!r}..."
    if isinstance(value, tuple) and len(value) > _ITEMS:
        first = ", ".join(_value(each) for each in value[:_ITEMS])
        return f"({first}, ... {len(value):,} in all)"
    return repr(value)
