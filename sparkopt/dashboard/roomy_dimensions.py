"""Ranges of parameters that nobody has told: of values seen so far, with room for more of their kind.

Optuna compares the parameters of two trials only if both have the same distribution. So if a range has to
grow, all trials get the new one, and it grows in large steps, so that this happens rarely.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Mapping
from typing import Any

from sparkopt.study.trial_description import Dimension


class RoomyDimensions:
    """The dimensions of a study.

    Attributes:
        known: by label; those that were told, and those of values so far.

    Args:
        told: those that the search has told.
    """

    def __init__(self, told: Iterable[Dimension] = ()) -> None:
        self.known = {dimension.label: dimension for dimension in told}
        self._told = frozenset(self.known)

    def add(self, params: Mapping[str, Any]) -> bool:
        """Make room for the values of a trial; returns whether a dimension that was there has grown."""
        changed = False
        for label, value in params.items():
            known = self.known.get(label)
            if known is None:
                self.known[label] = _roomy(Dimension.inferred(label, [value]))
                continue
            holding = known.holding([value])
            if holding is not known and holding != known:
                self.known[label] = _roomy(holding)
                changed = True
        return changed

    def guess(self, params: Iterable[Mapping[str, Any]]) -> bool:
        """Guess anew those that were not told, from the values of all trials; returns whether one changed."""
        before = dict(self.known)
        values: dict[str, list[Any]] = {}
        for each in params:
            for label, value in each.items():
                if label not in self._told:
                    values.setdefault(label, []).append(value)
        for label, found in values.items():
            self.known[label] = _roomy(Dimension.inferred(label, found))
        return before != self.known


def _roomy(dimension: Dimension) -> Dimension:
    """A dimension with bounds a little wider."""
    low, high = dimension.low, dimension.high
    if dimension.kind == "choice" or not (math.isfinite(low) and math.isfinite(high)) or low == high:
        return dimension
    if dimension.logarithmic:
        low, high = 10.0 ** math.floor(math.log10(low)), 10.0 ** math.ceil(math.log10(high))
    else:
        unit = 10.0 ** math.floor(math.log10(high - low)) / 2
        if dimension.kind == "int":
            unit = max(1.0, unit)
        low, high = math.floor(low / unit) * unit, math.ceil(high / unit) * unit
    return dataclasses.replace(dimension, low=low, high=high)
