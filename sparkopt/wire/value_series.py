"""Series of the intermediate values that a trial reports, in bounded memory."""

from __future__ import annotations

import sys
from array import array
from collections.abc import Iterable, Iterator
from typing import Final

MOST_VALUES: Final = 10_000
"""Most values that are kept of an attempt."""

_PAIR_BYTES: Final = 16


class ValueSeries:
    """Steps and values in the order in which they were reported.

    A series that would hold more than :data:`MOST_VALUES` is thinned: of each two values the later one stays,
    now and of those to come; then of each four, and so on. The newest value is always there.

    Attributes:
        steps: of the values.
        values: NaN and infinity among them, perhaps.
    """

    __slots__ = ("_extra", "_since", "_stride", "steps", "values")

    def __init__(self) -> None:
        self.steps = array("q")
        self.values = array("d")
        self._stride = 1
        self._since = 0
        self._extra = False

    def __len__(self) -> int:
        return len(self.steps)

    def __bool__(self) -> bool:
        return bool(self.steps)

    def __iter__(self) -> Iterator[tuple[int, float]]:
        return zip(self.steps, self.values, strict=True)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ValueSeries):
            return NotImplemented
        return (self.steps, self.values) == (other.steps, other.values)

    __hash__ = None  # type: ignore[assignment]  # it changes

    def __repr__(self) -> str:
        newest = f", the newest {self.values[-1]} at step {self.steps[-1]}" if self else ""
        return f"<{len(self)} intermediate values{newest}>"

    @property
    def newest(self) -> tuple[int, float] | None:
        """The step and the value that were reported last; None if nothing was."""
        return (self.steps[-1], self.values[-1]) if self.steps else None

    def add(self, step: int, value: float) -> None:
        """Take a value in, in constant time."""
        if self._extra:
            # It was kept as the newest alone.
            self.steps.pop()
            self.values.pop()
        elif len(self.steps) >= MOST_VALUES:
            self.steps, self.values = self.steps[1::2], self.values[1::2]
            self._stride *= 2
        self.steps.append(step)
        self.values.append(value)
        self._since += 1
        self._extra = self._since < self._stride
        if not self._extra:
            self._since = 0

    def extend(self, steps: Iterable[int], values: Iterable[float]) -> None:
        """Take values in, each with its step."""
        for step, value in zip(steps, values, strict=True):
            self.add(step, value)

    def by_step(self) -> dict[int, float]:
        """The values by their steps, smallest first; of a step that was repeated the last value."""
        return dict(sorted(dict(self).items()))

    def before(self, step: int) -> ValueSeries:
        """Returns a new series of what was reported below a step: a later attempt goes on from there."""
        series = ValueSeries()
        for each, value in self:
            if each < step:
                series.add(each, value)
        return series

    def to_bytes(self) -> bytes:
        """Steps, then values, each in eight bytes, the least significant first."""
        return _little(self.steps) + _little(self.values)

    @classmethod
    def from_bytes(cls, data: bytes) -> ValueSeries:
        """Reads the bytes that :meth:`to_bytes` returned.

        Raises:
            ValueError: if they are none.
        """
        if len(data) % _PAIR_BYTES or len(data) > _PAIR_BYTES * MOST_VALUES:
            raise ValueError(f"{len(data):,} bytes are not a series of at most {MOST_VALUES:,} values")
        series, middle = cls(), len(data) // 2
        series.steps.frombytes(data[:middle])
        series.values.frombytes(data[middle:])
        if sys.byteorder == "big":
            series.steps.byteswap()
            series.values.byteswap()
        return series


def _little(numbers: array[int] | array[float]) -> bytes:
    if sys.byteorder == "big":
        numbers = numbers[:]
        numbers.byteswap()
    return numbers.tobytes()
