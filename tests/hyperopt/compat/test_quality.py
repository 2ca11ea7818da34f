"""Four workers find as good losses as one, although each proposal is made with three results less."""

from __future__ import annotations

import json
import math
import os
import statistics
import subprocess
import sys

import pytest

from tests.hyperopt.compat import quality
from tests.support.paths import python_path

# Eighty launches of a pool take minutes when others use the machine too.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

TOLERANCE = 0.62
"""How far behind serial searches, on average over the problems, parallel ones may be.

0.5 is level. Three results less cost TPE a little, so that parallel searches come to between 0.48 and 0.54.
As all kinds have the same seeds, and so start with the same twenty points, the order of results moves that by
0.02 and not by the 0.05 of independent samples. Random search is at 0.69 and repeated proposals are at 0.92.
"""


@pytest.fixture(scope="module")
def measured():
    """The best losses by problem and kind of search; the table goes to standard error."""
    done = subprocess.run(
        [sys.executable, quality.__file__],
        env={**os.environ, "PYTHONPATH": python_path(), "SPARK_LOCAL_IP": "127.0.0.1"},
        stdout=subprocess.PIPE,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0
    return json.loads(done.stdout)


def shortcomings(measured, kind):
    """What speaks against a kind of search, by problem, or over all problems."""
    found = {}
    for name, kinds in measured.items():
        # A median of twenty is above the ninth decile of twenty others of the same sort once in a thousand
        # times; above the third quartile it is once in twenty, on each problem.
        bound = statistics.quantiles(kinds["serial"], n=10)[8]
        median = statistics.median(kinds[kind])
        if not median <= bound:
            found[name] = (median, bound)
    behind = quality.mean_behind(measured, kind)
    if not behind <= TOLERANCE:
        found["all"] = (behind, TOLERANCE)
    return found


def test_parallel_searches_are_as_good_as_serial_ones(measured):
    assert set(measured) == set(quality.PROBLEMS)
    for kinds in measured.values():
        assert [len(kinds[kind]) for kind in quality.KINDS] == [20] * 4
        assert all(math.isfinite(loss) for kind in quality.KINDS for loss in kinds[kind])
    assert shortcomings(measured, "parallel") == {}


@pytest.mark.parametrize("kind", ["random", "repeated"])
def test_searches_that_are_not_as_good_are_told_apart(measured, kind):
    assert "all" in shortcomings(measured, kind)
