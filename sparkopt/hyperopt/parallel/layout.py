"""Points of a space as rows of numbers, one column for each axis.

    hyperopt's values ──▶ row        NaN where a parameter is not active
    row ──▶ hyperopt's document      by hyperopt's own expression, which knows what is active

Rows that are drawn have a number in every column; which of them are active follows from the options that are
chosen on the way to each. Where the options of a space alone do not decide that, its columns count as active.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np
from hyperopt import base, pyll
from numpy.typing import NDArray

from sparkopt.hyperopt.parallel.axes import Axis, Floats, Options, Scale, axis_of
from sparkopt.hyperopt.program import Program
from sparkopt.hyperopt.suggest.ids import what_is_known_of

Rows = Floats
Active = NDArray[np.bool_]

_MOST_STEPS: Final = 20_000
"""Nodes of a space that are looked at, at most, to find what hangs on what."""

Conditions = tuple[tuple[str, int], ...]
"""Choices on the way to a parameter, each with the option that leads there."""


class Layout:
    """Columns of a domain's space.

    Attributes:
        axes: one for each column; an axis comes after those that it depends on.
        scales: the columns of parameters that have an order, and their axes.
        options: the columns of the others, and theirs.

    Args:
        domain: hyperopt's description of the space.
    """

    def __init__(self, domain: base.Domain) -> None:
        conditions = _conditions_of(domain.expr)
        axes = {label: axis_of(label, node) for label, node in domain.params.items()}
        known = {label: axis for label, axis in axes.items() if axis is not None}
        order = _ordered(known, conditions)
        self.axes: list[Axis] = [known[label] for label in order]
        self.scales = [(place, axis) for place, axis in enumerate(self.axes) if isinstance(axis, Scale)]
        self.options = [(place, axis) for place, axis in enumerate(self.axes) if isinstance(axis, Options)]
        self._place = {label: place for place, label in enumerate(order)}
        self._ways = [
            [
                [(self._place[name], float(option)) for name, option in way]
                for way in conditions.get(label, [()])
            ]
            for label in order
        ]
        ids, drawn = domain.s_new_ids, domain.s_idxs_vals
        row = pyll.Literal("row")
        instead = {}
        for label, prior in domain.vh.vals_by_label().items():
            if label in known:
                instead[prior] = _puts(label), [dict(prior.named_args)["size"], row]
        self._draw = Program(drawn, [ids, domain.s_rng, row], what_is_known_of(ids, 1, drawn), instead)

    def row(self, values: Mapping[str, Any]) -> Rows:
        """The row of a point.

        Args:
            values: for each label a list of one value, or of none; as in the ``vals`` of a trial's ``misc``.
        """
        row = np.full(len(self.axes), np.nan)
        for label, found in values.items():
            place = self._place.get(label)
            if place is not None and len(found):
                row[place] = self.axes[place].position(found[0])
        return row

    def drawn(self, size: int, rng: np.random.Generator) -> Rows:
        """Rows drawn from the prior."""
        rows = np.empty((size, len(self.axes)))
        for place, axis in enumerate(self.axes):
            rows[:, place] = axis.drawn(size, rng)
        return self.rounded(rows)

    def rounded(self, rows: Rows) -> Rows:
        """Rows with the nearest values that there are; those that are given are changed."""
        for place, axis in self.scales:
            rows[:, place] = axis.rounded(rows[:, place])
        return rows

    def active(self, rows: Rows) -> Active:
        """Tells which values of rows that were drawn are active."""
        found = np.ones(rows.shape, np.bool_)
        for place, ways in enumerate(self._ways):
            if not any(len(way) == 0 for way in ways):
                found[:, place] = False
                for way in ways:
                    leads = np.ones(len(rows), np.bool_)
                    for choice, option in way:
                        leads &= found[:, choice] & (rows[:, choice] == option)
                    found[:, place] |= leads
        return found

    def misc(self, tid: int, domain: base.Domain, row: Rows, rng: np.random.Generator) -> dict[str, Any]:
        """The ``misc`` of a trial's document: hyperopt says what is active, and draws what has no axis.

        Args:
            tid: of the trial.
            domain: the one that this was made for.
            row: the trial's point.
            rng: for what hyperopt draws.
        """
        values = {axis.label: axis.values(row[place : place + 1])[0] for place, axis in enumerate(self.axes)}
        idxs, vals = self._draw(np.asarray([tid]), rng, values)
        return {
            "tid": tid,
            "cmd": domain.cmd,
            "workdir": domain.workdir,
            "idxs": {label: list(found) for label, found in idxs.items()},
            "vals": {label: list(vals[label]) for label in idxs},
        }


def _puts(label: str) -> Callable[[int, Mapping[str, Any]], Any]:
    """A function that stands for a parameter's distribution: it gives the value that was chosen."""
    return lambda size, values: np.repeat(values[label], size)


def _conditions_of(expression: pyll.Apply) -> dict[str, set[Conditions]]:
    """For each label the choices of options that make it active; no labels if they cannot be found out."""
    found: dict[str, set[Conditions]] = {}
    seen: set[tuple[int, Conditions]] = set()
    left: list[tuple[pyll.Apply, Conditions]] = [(expression, ())]
    while left:
        node, way = left.pop()
        if (id(node), way) in seen:
            continue
        seen.add((id(node), way))
        if len(seen) > _MOST_STEPS:
            return {}
        if node.name == "hyperopt_param":
            found.setdefault(str(node.arg["label"].obj), set()).add(way)
        if node.name == "switch":
            chosen, *branches = node.inputs()
            if chosen.name != "hyperopt_param" or not isinstance(axis_of("", chosen.arg["obj"]), Options):
                return {}
            label = str(chosen.arg["label"].obj)
            left.append((chosen, way))
            left.extend((branch, (*way, (label, number))) for number, branch in enumerate(branches))
        else:
            left.extend((part, way) for part in node.inputs())
    return found


def _ordered(axes: Mapping[str, Axis], conditions: Mapping[str, set[Conditions]]) -> list[str]:
    """Labels, each after those that it depends on."""
    order: dict[str, None] = {}
    on_the_way: set[str] = set()

    def put(label: str) -> None:
        if label in order or label in on_the_way:
            return
        on_the_way.add(label)
        for way in conditions.get(label, ()):
            for choice, _ in way:
                put(choice)
        order[label] = None

    for label in axes:
        put(label)
    return list(order)
