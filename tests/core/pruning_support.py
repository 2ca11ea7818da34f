"""Trials that report to a pruner, for tests."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from sparkopt.core.pruning.pruner import Pruner
from sparkopt.core.states import Outcome

NAN = math.nan
INF = math.inf


def verdicts(pruner: Pruner, tid: int, values: Sequence[float], first: int = 1) -> list[bool]:
    """The verdict for each of a trial's values, the first of which has the step ``first``."""
    return [pruner.reported(tid, step, value) for step, value in enumerate(values, first)]


def finish(pruner: Pruner, curves: Iterable[Sequence[float]], first: int = 1) -> None:
    """Trials, from 1,000 on, that report these values, whatever the verdict, and end well."""
    for tid, values in enumerate(curves, 1000):
        verdicts(pruner, tid, values, first)
        pruner.settled(tid, Outcome.OK)
