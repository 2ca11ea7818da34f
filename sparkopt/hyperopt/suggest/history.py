"""TPE's view of a search: hyperopt's documents as arrays that grow with them.

    trials.trials ──▶ History.look ──▶ Moment: which trials count, which are good
                      columns.py       each parameter's values

``hyperopt.tpe.suggest`` reads every document for each suggestion. A :class:`History` reads a document when it
is new, and its loss again until the trial is done. What has happened to the list of documents meanwhile is
found by comparing the list with the one seen last, which takes Python microseconds: documents that are the
same objects are not looked into.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
from hyperopt import base, tpe
from numpy.typing import NDArray

from sparkopt.hyperopt.suggest.columns import Column, StrangeDocumentError, grown

Rows = NDArray[np.intp]

_MOST_GONE: Final = 100


@dataclass(frozen=True, slots=True)
class Moment:
    """History of a search at the time of one suggestion.

    Attributes:
        tids: of the trials that count, ascending.
        below: the rows of the good trials, the oldest first.
        above: the rows of the others.
        is_above: for each row whether it is among these.
    """

    tids: NDArray[np.int64]
    below: Rows
    above: Rows
    is_above: NDArray[np.bool_]
    _forgetting: dict[int, NDArray[np.float64]] = field(default_factory=dict)
    _weights: list[NDArray[np.float64]] = field(default_factory=list)

    def forgetting(self, count: int) -> NDArray[np.float64]:
        """The weights that hyperopt gives that many values, so that it forgets the older ones."""
        found = self._forgetting.get(count)
        if found is None:
            found = self._forgetting[count] = tpe.linear_forgetting_weights(count, tpe.DEFAULT_LF)
        return found

    def weights(self, active: Rows | None = None) -> NDArray[np.float64]:
        """The weight of each row above, at its row, if these have a value; by default all have one."""
        if active is not None:
            return self._by_row(active)
        if not self._weights:
            self._weights.append(self._by_row(self.above))
        return self._weights[0]

    def _by_row(self, rows: Rows) -> NDArray[np.float64]:
        weights = np.empty(len(self.is_above))
        weights[rows] = self.forgetting(len(rows))
        return weights


class History:
    """The documents of a search.

    Args:
        columns: one for each parameter, by label.
    """

    def __init__(self, columns: dict[str, Column]) -> None:
        self._columns = columns
        self._forget()

    def _forget(self) -> None:
        self._seen: list[Any] = []
        self._row_of: list[int] = []
        self._unsettled: dict[int, Any] = {}
        self._shared: dict[int, list[int]] = {}
        self._size = 0
        self._gone = 0
        self._keys: NDArray[np.int64] = np.empty(0, np.int64)  # the trial that a row counts for
        self._tids: NDArray[np.int64] = np.empty(0, np.int64)  # the trial that it comes from
        self._losses: NDArray[np.float64] = np.empty(0)
        self._counts: NDArray[np.bool_] = np.empty(0, np.bool_)
        self._row_of_key: dict[int, int] = {}
        self._by_key: Rows | None = None  # None if the rows are in that order
        self._is_foreign = False
        for column in self._columns.values():
            column.clear()

    def look(self, documents: list[Any]) -> None:
        """See what is new.

        Args:
            documents: as in ``trials.trials``.

        Raises:
            StrangeDocumentError: if there is one whose meaning is for hyperopt to say.
        """
        try:
            self._follow(documents)
            for row, document in list(self._unsettled.items()):
                self._read_loss(row, document)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            self._forget()
            raise StrangeDocumentError(f"{type(error).__name__}: {error}") from error
        except BaseException:
            self._forget()
            raise

    # Following the list.

    def _follow(self, documents: list[Any]) -> None:
        seen = self._seen
        if len(documents) > len(seen) and are_the_same(documents[: len(seen)], seen):
            self._add(documents[len(seen) :])
        elif not are_the_same(documents, seen):
            self._catch_up(documents)
        if self._gone > len(seen) + _MOST_GONE:
            self._start_again(documents)

    def _catch_up(self, documents: list[Any]) -> None:
        """The list is another where it had been seen: trials have failed, or somebody had a hand in it."""
        seen = self._seen
        for _ in range(_MOST_GONE):
            place = _first_difference(documents, seen)
            if place == len(seen):
                break
            if place + 1 == len(seen) or (place < len(documents) and documents[place] is seen[place + 1]):
                self._drop(place)
            else:
                for last in range(len(seen) - 1, place - 1, -1):
                    self._drop(last)
                break
        self._add(documents[len(seen) :])
        if not are_the_same(documents, seen):
            self._start_again(documents)

    def _start_again(self, documents: list[Any]) -> None:
        self._forget()
        self._add(list(documents))

    def _drop(self, place: int) -> None:
        del self._seen[place]
        row = self._row_of.pop(place)
        self._unsettled.pop(row, None)
        self._counts[row] = False
        self._gone += 1
        key = int(self._keys[row])
        others = self._shared.get(key)
        if others is None:
            del self._row_of_key[key]
        else:
            others.remove(row)
            if others:
                self._choose(others)
            else:
                del self._shared[key]
                del self._row_of_key[key]

    # Reading documents.

    def _add(self, documents: Sequence[Any]) -> None:
        if not documents:
            return
        first, end = self._size, self._size + len(documents)
        read = [_trial_of(document) for document in documents]
        self._make_room(end)
        self._keys[first:end] = [key for key, _ in read]
        self._tids[first:end] = [tid for _, tid in read]
        miscs = [document["misc"] for document in documents]
        for label, column in self._columns.items():
            column.add(first, [_value_of(misc, label) for misc in miscs])
        self._size = end
        self._seen.extend(documents)
        self._row_of.extend(range(first, end))
        self._is_foreign = self._is_foreign or any(key != tid for key, tid in read)
        before = self._keys[max(0, first - 1) : end]
        if self._by_key is not None or not (before[1:] > before[:-1]).all():
            self._by_key = np.argsort(self._keys[:end], kind="stable")
        for row, document in zip(range(first, end), documents, strict=True):
            key = int(self._keys[row])
            if key in self._row_of_key:
                self._shared.setdefault(key, [self._row_of_key[key]]).append(row)
            else:
                self._row_of_key[key] = row
            self._read_loss(row, document)

    def _make_room(self, size: int) -> None:
        if size > len(self._keys):
            used = self._size
            self._keys, self._tids = grown(self._keys, used, size), grown(self._tids, used, size)
            self._losses, self._counts = grown(self._losses, used, size), grown(self._counts, used, size)

    def _read_loss(self, row: int, document: Any) -> None:
        found = document["result"].get("loss")
        if found is not None and not isinstance(found, (int, float, np.number)):
            raise StrangeDocumentError(f"a loss of {found!r}")
        self._losses[row] = loss = math.inf if found is None else float(found)
        if document["state"] == base.JOB_STATE_DONE:
            self._unsettled.pop(row, None)
        else:
            self._unsettled[row] = document
        shared = self._shared.get(int(self._keys[row]))
        if shared is None:
            self._counts[row] = loss == loss  # hyperopt ignores a trial whose loss is NaN
        else:
            self._choose(shared)

    def _choose(self, rows: list[int]) -> None:
        """Choose the document of a trial that hyperopt takes: the last of those with the least loss.

        None does if the first one's loss is NaN.
        """
        least, chosen = self._losses[rows[0]], None
        for row in rows:
            self._counts[row] = False
            if self._losses[row] <= least:
                least, chosen = self._losses[row], row
        if chosen is not None:
            self._counts[chosen] = True

    # What is known.

    def counted(self) -> Rows:
        """The rows of the trials that count, in the order of their tids."""
        if self._by_key is None:
            return np.flatnonzero(self._counts[: self._size])
        return self._by_key[self._counts[self._by_key]]

    def least_loss(self, rows: Rows) -> float:
        """The least loss of trials that count."""
        return float(self._losses[rows].min())

    def moment(self, rows: Rows, gamma: float) -> Moment:
        """Split the trials that count into good ones and others, as ``hyperopt.tpe.ap_split_trials`` does.

        Args:
            rows: of these trials.
            gamma: hyperopt's: the share of good ones, before a square root.
        """
        keys, losses = self._keys[rows], self._losses[rows]
        few = min(int(np.ceil(gamma * np.sqrt(len(losses)))), tpe.DEFAULT_LF)
        good = np.zeros(len(rows), np.bool_)
        good[np.argsort(losses)[:few]] = True
        is_above = np.zeros(self._size, np.bool_)
        if self._is_foreign:
            # hyperopt knows a document's values by the trial that it comes from, and its loss by the trial
            # that it counts for.
            tids = self._tids[rows]
            places = np.minimum(np.searchsorted(keys, tids), len(keys) - 1)
            known = keys[places] == tids
            below, above = rows[known & good[places]], rows[known & ~good[places]]
        else:
            below, above = rows[good], rows[~good]
        is_above[above] = True
        return Moment(keys, below, above, is_above)


def _trial_of(document: Any) -> tuple[int, int]:
    """The trial that a document counts for, and the one that its values come from."""
    misc = document["misc"]
    key, tid = misc.get("from_tid", document["tid"]), misc["tid"]
    if type(key) is not int or type(tid) is not int:
        raise StrangeDocumentError(f"the tids {key!r} and {tid!r}")
    return key, tid


def _value_of(misc: Any, label: str) -> Any:
    """A parameter's value in a document; None if it has none."""
    ids, values = misc["idxs"][label], misc["vals"][label]
    if not ids and not values:
        return None
    if len(values) != 1 or ids != [misc["tid"]]:
        raise StrangeDocumentError(f"the values {values!r} of the trials {ids!r}")
    return values[0]


def are_the_same(documents: list[Any], seen: list[Any]) -> bool:
    """Returns whether two lists hold the same documents."""
    if len(documents) != len(seen):
        return False
    if not seen:
        return True
    if documents[0] is not seen[0] or documents[-1] is not seen[-1]:
        return False
    try:
        # Fast, because the list's own comparison takes what is identical for equal.
        return documents == seen
    except ValueError:  # a copy of a document, with an array in it
        return False


def _first_difference(documents: list[Any], seen: list[Any]) -> int:
    """The place of the first document that was not seen there, if documents before are the same."""
    low, high = 0, min(len(documents), len(seen))
    while low < high:
        middle = (low + high) // 2
        if documents[middle] is seen[middle]:
            low = middle + 1
        else:
            high = middle
    return low
