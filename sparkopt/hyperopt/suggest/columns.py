"""A parameter's values in a history: in the order of the documents, and in the order of size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from sparkopt.hyperopt.suggest.history import Moment

Floats = NDArray[np.float64]

_EXACT: Final = 2**53
"""Whole numbers up to here are floats as well."""

_FEW: Final = 8
"""That many new values are put in their places; more are sorted together with the rest."""


class StrangeDocumentError(Exception):
    """There is a document whose meaning is for hyperopt to say."""


class Column:
    """The values of one parameter.

    Args:
        logarithmic: whether it is logarithms that are compared and kept in order.
        in_order: whether to keep an order at all.
    """

    def __init__(self, logarithmic: bool = False, in_order: bool = False) -> None:
        self._logarithmic = logarithmic
        self._in_order = in_order
        self.clear()

    def clear(self) -> None:
        """Forget every value."""
        self._values: Floats = np.empty(0)
        self._is_partial = False
        self._count = 0
        self._order: NDArray[np.intp] = np.empty(0, np.intp)
        self._ordered: Floats = np.empty(0)

    def add(self, first: int, found: Sequence[Any]) -> None:
        """Take values in.

        Args:
            first: the row of the first of them; rows come one after another.
            found: the values; None for a row that has none.

        Raises:
            StrangeDocumentError: if one is not a number that this can handle as hyperopt does.
        """
        new = np.array([np.nan if value is None else _number(value) for value in found])
        end = first + len(new)
        if end > len(self._values):
            self._values = grown(self._values, first, end)
        self._values[first:end] = new
        active = first + np.flatnonzero(new == new)
        self._is_partial = self._is_partial or len(active) < len(new)
        if self._in_order and len(active):
            self._put_in_order(active)

    def _put_in_order(self, rows: NDArray[np.intp]) -> None:
        sizes = self._values[rows]
        if self._logarithmic:
            if not (sizes > 0).all():
                raise StrangeDocumentError(f"the value {sizes.min()} of a parameter with a logarithm")
            sizes = np.log(sizes)
        count, end = self._count, self._count + len(rows)
        if end > len(self._order):
            self._order = grown(self._order, count, end)
            self._ordered = grown(self._ordered, count, end)
        order, ordered = self._order, self._ordered
        if len(rows) <= _FEW:
            for row, size in zip(rows, sizes, strict=True):
                place = int(ordered[:count].searchsorted(size))
                order[place + 1 : count + 1] = order[place:count]
                ordered[place + 1 : count + 1] = ordered[place:count]
                order[place], ordered[place] = row, size
                count += 1
        else:
            order[count:end], ordered[count:end] = rows, sizes
            places = np.argsort(ordered[:end])
            order[:end], ordered[:end] = order[places], ordered[places]
        self._count = end

    def below(self, moment: Moment) -> Floats:
        """The values of the good trials, the oldest first."""
        return self._active(self._values[moment.below])

    def above(self, moment: Moment) -> Floats:
        """The values of the other trials, the oldest first."""
        return self._active(self._values[moment.above])

    def _active(self, values: Floats) -> Floats:
        return values[values == values] if self._is_partial else values

    def above_in_order(self, moment: Moment) -> tuple[Floats, Floats]:
        """The values of the other trials (or their logarithms) in the order of size, and their weights."""
        active = None
        if self._is_partial:
            values = self._values[moment.above]
            active = moment.above[values == values]
        order = self._order[: self._count]
        kept = moment.is_above[order]
        return self._ordered[: self._count][kept], moment.weights(active)[order[kept]]


def grown(array: NDArray[Any], used: int, size: int) -> NDArray[Any]:
    """A copy with room for more: at least for that many elements, of which the used ones are there."""
    larger = np.empty(2 * size + 64, array.dtype)
    larger[:used] = array[:used]
    return larger


def _number(value: Any) -> float:
    kind = type(value)
    if kind is float or kind is np.float64:
        number = float(value)
        if number - number == 0.0:
            return number
    elif (kind is int or kind is np.int64) and -_EXACT <= value <= _EXACT:
        return float(value)
    raise StrangeDocumentError(f"the value {value!r}")
