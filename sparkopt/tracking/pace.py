"""Pace of calls: how many at once help, as the store's own answers show it.

A call costs time of this process, and time in which nobody does anything but wait. Only where calls wait
does it help to have several at once. So each call that was answered says how long it took and how much of
that was processor time of its thread. The limit rises by one for each answer, which doubles it within the
time of a call, as long as calls wait, others are ready, and the store answers them about as fast as a
single one. It falls to half when the store says that it has too much to do, and then rises slowly. That is
how TCP finds its window; the comparison with the fastest answers is from TCP Vegas (Brakmo, Peterson 1995).

It has no clock, and is used from several threads.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Hashable
from typing import Final

_FAR_SECONDS: Final = 0.02
"""A call that waits for less than this is one of a store on this machine: others would only be in its way."""

_CROWDED: Final = 3.0
_CROWDED_SECONDS: Final = 0.1
"""Where calls take so many times as long as the fastest, and so much longer, fewer at once do as well."""

_LATE: Final = 16
"""How many of the last calls count."""

_FEWEST: Final = 3
"""One slow call says nothing."""


_MOST_LOCAL: Final = 16
_MOST_CONNECTIONS: Final = 10
"""MLflow keeps 5 connections to a database, and opens 10 more when they are in use (SQLAlchemy's
defaults)."""
_MOST_REMOTE: Final = 64

_DATABASES: Final = frozenset({"postgresql", "postgres", "mysql", "mssql"})


class Pace:
    """Limit of calls at once. May be used from any thread.

    Args:
        first: how many to begin with.
        most: how many at most.

    Attributes:
        limit: how many calls may be made at once now.
    """

    def __init__(self, first: int, most: int) -> None:
        self._lock = threading.Lock()
        self._most = max(1, most)
        self._first = self._size = float(max(1, min(first, self._most)))
        self._careful = False
        self._late: dict[Hashable, deque[tuple[float, float]]] = {}
        self.limit = int(self._size)

    def answered(self, kind: Hashable, seconds: float, busy: float, more: bool) -> None:
        """Note a call that the store has answered, with a refusal perhaps.

        Args:
            kind: of the call; those of a kind take about as long as each other.
            seconds: how long it took.
            busy: how much of that was processor time of its thread.
            more: whether other calls wait to be made.
        """
        with self._lock:
            late = self._late.get(kind)
            if late is None:
                late = self._late[kind] = deque(maxlen=_LATE)
            late.append((seconds, seconds - busy))
            fastest = min(each for each, _ in late)
            usual = sum(each for each, _ in late) / len(late)
            if min(waited for _, waited in late) <= _FAR_SECONDS:
                if self._size > self._first:
                    self._set(max(self._first, self._size - 1 / self._size))
            elif usual > _CROWDED * fastest and usual - fastest > _CROWDED_SECONDS:
                self._set(self._size - 1 / self._size)
            elif more and sum(map(len, self._late.values())) >= _FEWEST:
                self._set(self._size + (1 / self._size if self._careful else 1))

    def pushed_back(self) -> None:
        """Note a call that the store had no time for, or that did not reach it: half as many are allowed."""
        with self._lock:
            self._careful = True
            self._set(self._size / 2)

    def _set(self, size: float) -> None:
        self._size = min(max(1.0, size), float(self._most))
        self.limit = int(self._size)


def pace_for(uri: str, parallelism: int, most: int | None = None) -> Pace:
    """The pace to begin with at a tracking store.

    A server is asked by several threads from the start; SQLite, which takes one writer at a time, by one, and
    by more only if its calls wait as those of a server do; other databases by as many as there are
    connections to them. MLflow's store of files is asked by one alone: it raises where one thread reads a
    metric's file that another has opened and not yet written.

    Args:
        uri: of the store.
        parallelism: how many trials may run at once.
        most: how many calls at once the user wants at most; None for twice the parallelism, within bounds.
    """
    scheme, colon, _ = uri.lower().partition(":")
    if scheme == "file" or not (colon or scheme == "databricks"):
        first, bound = 1, 1
    elif scheme == "sqlite":
        first, bound = 1, _MOST_LOCAL
    elif "+" in scheme or scheme in _DATABASES:
        first, bound = 2, _MOST_CONNECTIONS
    else:
        first, bound = 4, _MOST_REMOTE
    return Pace(first, min(max(4, 2 * parallelism), bound) if most is None else most)
