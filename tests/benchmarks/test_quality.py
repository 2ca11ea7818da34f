"""Figures of the record of ``quality``: those that the package repeats are the record's."""

from __future__ import annotations

from statistics import median

import pytest

from benchmarks.record import Record
from benchmarks.report import RECORDS
from benchmarks.searches.significance import geometric_mean
from sparkopt.hyperopt.advice import MEASURED


@pytest.mark.parametrize("workers", MEASURED)
def test_the_advice_on_parallelism_says_what_was_measured(workers):
    figures = Record.read(RECORDS / "quality.json").figures
    assert figures["budgets"][str(workers)][-1] == MEASURED[workers].trials
    for name in ("tpe", "parallel_tpe"):
        relative = [
            median(row[-1] for row in found[name]) / median(row[-1] for row in found["random"])
            for found in figures["regrets"][str(workers)].values()
        ]
        assert round(geometric_mean(relative), 2) == getattr(MEASURED[workers], name)
