"""Trials of a search as arrays: their rows, how good they were, and which ones run.

    state      what it teaches
    DONE           its loss, if its status is ``ok``, or the last value of a pruned one; otherwise it is bad
    ERROR          it is bad
    RUNNING, NEW   it is bad until it has a loss: nothing else is proposed close to it
    CANCEL         nothing

A document is read when it is new, and its result again until it is final.
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
from hyperopt import base
from numpy.typing import NDArray

from sparkopt.hyperopt.documents import is_pruned
from sparkopt.hyperopt.parallel.layout import Layout, Rows
from sparkopt.hyperopt.suggest.history import are_the_same

_DIGITS: Final = 9
"""Rows that are the same to so many digits are one point."""


class Evidence:
    """Book of what a search knows.

    Args:
        layout: of its space.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._forget()

    def _forget(self) -> None:
        self._seen: list[Any] = []
        self._open: dict[int, Any] = {}
        self._rows: Rows = np.empty((0, len(self._layout.axes)))
        self._losses: NDArray[np.float64] = np.empty(0)
        self._settled: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._ignored: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._points: set[bytes] = set()

    def look(self, trials: base.Trials) -> None:
        """Read what is new.

        Args:
            trials: of the search; failed ones too, which hyperopt hides from algorithms.
        """
        documents = _documents_of(trials)
        count = len(self._seen)
        if not are_the_same(documents[:count], self._seen):
            self._forget()
            count = 0
        new = documents[count:]
        if new:
            self._make_room(len(documents))
            for place, document in enumerate(new, count):
                row = self._rows[place] = self._layout.row(document["misc"]["vals"])
                self._points.add(point_of(row))
                self._losses[place], self._settled[place], self._ignored[place] = math.inf, False, False
                self._open[place] = document
            self._seen.extend(new)
        for place, document in list(self._open.items()):
            self._read(place, document)

    def _make_room(self, size: int) -> None:
        if size > len(self._losses):
            room = 2 * size + 64
            for name in ("_rows", "_losses", "_settled", "_ignored"):
                old = getattr(self, name)
                new = np.empty((room, *old.shape[1:]), old.dtype)
                new[: len(old)] = old
                setattr(self, name, new)

    def _read(self, place: int, document: Any) -> None:
        state = document["state"]
        if state in (base.JOB_STATE_NEW, base.JOB_STATE_RUNNING):
            return
        del self._open[place]
        self._settled[place] = state in (base.JOB_STATE_DONE, base.JOB_STATE_ERROR)
        self._ignored[place] = not self._settled[place]
        self._losses[place] = _loss_of(document) if state == base.JOB_STATE_DONE else math.inf

    @property
    def rows(self) -> Rows:
        """The row of each trial, in the order of documents."""
        return self._rows[: len(self._seen)]

    @property
    def losses(self) -> NDArray[np.float64]:
        """The loss of each trial; infinity for one that has none, for whatever reason."""
        return self._losses[: len(self._seen)]

    def others(self, good: NDArray[np.intp], most: int) -> Rows:
        """Rows of the trials that count besides the good ones; all running ones are among them.

        Args:
            good: places of these.
            most: limit on those that have ended, which are chosen evenly from the oldest to the newest.
        """
        count = len(self._seen)
        ended = self._settled[:count].copy()
        ended[good] = False
        places = np.flatnonzero(ended)
        if len(places) > most:
            places = places[np.linspace(0, len(places) - 1, most).astype(np.intp)]
        running = ~self._settled[:count] & ~self._ignored[:count]
        running[good] = False
        found: Rows = self._rows[np.concatenate([places, np.flatnonzero(running)])]
        return found

    @property
    def finished(self) -> int:
        """Number of trials that have ended and count."""
        return int(np.count_nonzero(self._settled[: len(self._seen)]))

    @property
    def points(self) -> set[bytes]:
        """The points of all trials; see :func:`point_of`."""
        return self._points


def point_of(row: Rows) -> bytes:
    """Something that is the same for the same point.

    Args:
        row: of it, with NaN for what is not active.
    """
    return np.round(np.where(np.isnan(row), -1.0, row), _DIGITS).tobytes()


def _documents_of(trials: base.Trials) -> list[Any]:
    documents: list[Any] = trials._dynamic_trials
    if trials._exp_key is None:
        return documents
    return [document for document in documents if document["exp_key"] == trials._exp_key]


def _loss_of(document: Any) -> float:
    result = document["result"]
    if result.get("status") != base.STATUS_OK and not is_pruned(document):
        return math.inf
    loss = result.get("loss")
    number = math.inf if loss is None else float(loss)
    return number if number == number else math.inf
