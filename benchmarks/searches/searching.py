"""Many searches, and a file that keeps those that need not be run again."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.searches.catalogue import problem
from benchmarks.searches.contestants import Contestant
from benchmarks.searches.virtual_clock import play


@dataclass(frozen=True, slots=True)
class Searches:
    """All searches of one contestant on one objective, with so many workers.

    Attributes:
        regrets: for each seed, those of all budgets.
        milliseconds: for each seed, of a suggestion.
    """

    regrets: list[list[float]]
    milliseconds: list[float]


class Kept:
    """Searches that were run before.

    Args:
        directory: where they are; None to keep none.
    """

    def __init__(self, directory: Path | None) -> None:
        self._directory = directory

    def path(self, contestant: str, objective: str, workers: int, budgets: Sequence[int]) -> Path | None:
        """The file of a cell."""
        if self._directory is None:
            return None
        name = f"{contestant}-{objective}-{workers}-{'_'.join(map(str, budgets))}.json"
        return self._directory / name.replace(" ", "_").replace(",", "")


def searches(
    name: str,
    contestant: Contestant,
    objective: str,
    workers: int,
    budgets: Sequence[int],
    seeds: Sequence[int],
    kept: Kept,
) -> Searches:
    """Play a contestant's searches, or read those that were kept.

    Args:
        name: the contestant's.
        contestant: whose.
        objective: its name.
        workers: how many trials run at once.
        budgets: numbers of trials.
        seeds: one for each search.
        kept: those that were run before.
    """
    path = kept.path(name, objective, workers, budgets) if contestant.may_be_kept else None
    found: dict[str, Any] = json.loads(path.read_text()) if path is not None and path.exists() else {}
    fresh = [seed for seed in seeds if str(seed) not in found]
    for seed in fresh:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            played = play(
                problem(objective), contestant.begin(problem(objective).space, seed), workers, budgets, seed
            )
        found[str(seed)] = [played.regrets, played.milliseconds]
    if path is not None and fresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found))
    rows = [found[str(seed)] for seed in seeds]
    return Searches([row[0] for row in rows], [row[1] for row in rows])


def at(found: Mapping[str, Searches], place: int) -> dict[str, list[float]]:
    """The regrets of each contestant with one of the budgets."""
    return {name: [row[place] for row in each.regrets] for name, each in found.items()}
