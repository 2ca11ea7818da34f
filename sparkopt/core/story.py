"""What happened, in order, for whoever has to find out why.

The last few thousand events and commands are kept as they are and put into words only when somebody asks.
"""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import fields

from sparkopt.core.commands import Command
from sparkopt.core.events import CancelRequested, Event, Heartbeat, Tick, TrialsSubmitted
from sparkopt.core.states import Lease, TrialKey

_SILENT = (Heartbeat, Tick)


class Story:
    """A bounded record of events and commands, oldest first."""

    def __init__(self, length: int = 4096) -> None:
        self._lines: deque[tuple[float, Event | Command]] = deque(maxlen=length)

    def add(self, now: float, event: Event, commands: list[Command]) -> None:
        """Record one step. Heartbeats and ticks that led to nothing are left out."""
        if commands or not isinstance(event, _SILENT):
            self._lines.append((now, event))
            self._lines.extend(zip(itertools.repeat(now), commands))

    def tell(self, about: TrialKey | str | None = None) -> list[str]:
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
    return isinstance(item, CancelRequested) and item.study == about.study and item.tid in (about.tid, None)


def _words(item: Event | Command) -> str:
    said = (f"{field.name}={_value(getattr(item, field.name))}" for field in fields(item))
    return f"{type(item).__name__}({', '.join(said)})"


def _value(value: object) -> str:
    return str(value) if isinstance(value, (Lease, TrialKey)) else repr(value)
