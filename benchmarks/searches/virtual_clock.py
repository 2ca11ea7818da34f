"""A search played on a virtual clock: p workers, and proposals made when a study makes them.

    one worker      a proposal when the trial before has ended
    more workers    one proposal more than there are workers: it waits for the next that becomes free

How long trials take is drawn from the seed, the same for every algorithm.
"""

from __future__ import annotations

import heapq
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np

from benchmarks.searches.parameters import Point
from benchmarks.searches.problems import Problem

_SPREAD: Final = 0.4
"""The standard deviation of the logarithm of how long a trial takes."""


class SearchToPlay(Protocol):
    """A search by any library."""

    def propose(self) -> Point:
        """The next trial's point."""

    def settle(self, number: int, loss: float | None) -> None:
        """The trial of that number has ended, with a loss or failed."""


@dataclass(frozen=True, slots=True)
class Played:
    """A search that has ended.

    Attributes:
        regrets: normalised, of what each budget would have found.
        milliseconds: of the processor's time for a suggestion, the mean over the last quarter of them.
    """

    regrets: list[float]
    milliseconds: float


def play(problem: Problem, search: SearchToPlay, workers: int, budgets: Sequence[int], seed: int) -> Played:
    """Play a search.

    Args:
        problem: its objective.
        search: who proposes.
        workers: how many trials run at once.
        budgets: numbers of trials, ascending; proposals do not depend on how many more there will be.
        seed: of how long trials take, and of noise.
    """
    trials = budgets[-1]
    rng = np.random.default_rng([seed, workers])
    durations = np.exp(_SPREAD * rng.standard_normal(trials))
    noise = rng.standard_normal(trials)
    seen: list[tuple[float, float] | None] = []
    running: list[tuple[float, int]] = []
    waiting: deque[int] = deque()
    spent: list[float] = []
    room = workers + 1 if workers > 1 else 1
    now = 0.0
    while True:
        while len(seen) < trials and len(running) + len(waiting) < room:
            began = time.process_time()
            point = search.propose()
            spent.append(time.process_time() - began)
            waiting.append(len(seen))
            seen.append(problem.seen(point, float(noise[len(seen)])))
            if len(running) < workers:
                number = waiting.popleft()
                heapq.heappush(running, (now + durations[number], number))
        if not running:
            break
        now, number = heapq.heappop(running)
        if waiting:
            following = waiting.popleft()
            heapq.heappush(running, (now + durations[following], following))
        found = seen[number]
        search.settle(number, None if found is None else found[0])
    last = spent[-max(1, trials // 4) :]
    return Played([_regret(problem, seen[:budget]) for budget in budgets], 1000 * sum(last) / len(last))


def _regret(problem: Problem, seen: Sequence[tuple[float, float] | None]) -> float:
    """The regret of the trial whose loss looks best."""
    _, true = min((each for each in seen if each is not None), default=(math.inf, math.inf))
    return problem.regret(true)
