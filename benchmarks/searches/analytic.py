"""Objectives that are formulas, each with its optimum."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from benchmarks.searches.parameters import Point, SearchSpace, choice, log, logwhole, uniform, whole
from benchmarks.searches.problems import Problem

_A: Final = np.array(
    [
        [10, 3, 17, 3.5, 1.7, 8],
        [0.05, 10, 17, 0.1, 8, 14],
        [3, 3.5, 1.7, 10, 17, 8],
        [17, 8, 0.05, 10, 0.1, 14],
    ]
)
_P: Final = 1e-4 * np.array(
    [
        [1312, 1696, 5569, 124, 8283, 5886],
        [2329, 4135, 8307, 3736, 1004, 9991],
        [2348, 1451, 3522, 2883, 3047, 6650],
        [4047, 8828, 8732, 5743, 1091, 381],
    ]
)
_ALPHA: Final = np.array([1.0, 1.2, 3.0, 3.2])


def _line(dimensions: int, low: float, high: float) -> SearchSpace:
    return SearchSpace([uniform(f"x{number}", low, high) for number in range(dimensions)])


def _values(point: Point) -> np.ndarray:
    return np.fromiter(point.values(), float, len(point))


def _hartmann(point: Point) -> float:
    return -float(_ALPHA @ np.exp(-(_A * (_values(point) - _P) ** 2).sum(axis=1)))


HARTMANN: Final = Problem("hartmann 6", _line(6, 0, 1), _hartmann, -3.322368)
"""Six dimensions with interactions, and a local optimum beside the global one (Dixon and Szego 1978)."""


def _rosenbrock(point: Point) -> float:
    x = _values(point)
    return float((100 * (x[1:] - x[:-1] ** 2) ** 2 + (1 - x[:-1]) ** 2).sum())


ROSENBROCK: Final = Problem("rosenbrock 10", _line(10, -2.048, 2.048), _rosenbrock)
"""A bent valley in ten dimensions (Rosenbrock 1960)."""


def _levy(point: Point) -> float:
    w = 1 + (_values(point) - 1) / 4
    middle = ((w[:-1] - 1) ** 2 * (1 + 10 * np.sin(math.pi * w[:-1] + 1) ** 2)).sum()
    last = (w[-1] - 1) ** 2 * (1 + math.sin(2 * math.pi * w[-1]) ** 2)
    return float(math.sin(math.pi * w[0]) ** 2 + middle + last)


def _levy_fails(point: Point) -> bool:
    return point["x0"] + point["x1"] > 11.0


FAILING: Final = Problem("levy 5, a tenth fails", _line(5, -10, 10), _levy, fails=_levy_fails)
"""Many local optima; where the first two parameters are large, which is a tenth of the space, trials fail."""


def _ackley(point: Point) -> float:
    x = _values(point)
    bowl = -20 * math.exp(-0.2 * math.sqrt(float((x**2).mean())))
    return bowl - math.exp(float(np.cos(2 * math.pi * x).mean())) + 20 + math.e


NOISY: Final = Problem("ackley 6, noise", _line(6, -20, 30), _ackley, noise=lambda loss: 0.08 * loss + 0.2)
"""Ackley's function (1987) off the middle of its space; noise that grows with the loss."""

_MODELS: Final = SearchSpace(
    [
        choice("model", 4),
        log("C", 1e-3, 1e3, ("model", 0)),
        log("gamma", 1e-5, 10, ("model", 0)),
        choice("kernel", 3, ("model", 0)),
        whole("forest_depth", 1, 20, ("model", 1)),
        uniform("features", 0.05, 1, ("model", 1)),
        whole("leaf", 1, 30, ("model", 1)),
        log("shrinkage", 1e-3, 1, ("model", 2)),
        logwhole("trees", 10, 1000, ("model", 2)),
        whole("depth", 1, 10, ("model", 2)),
        uniform("subsample", 0.3, 1, ("model", 2)),
        log("rate", 1e-5, 1e-1, ("model", 3)),
        logwhole("width", 8, 512, ("model", 3)),
        uniform("dropout", 0, 0.8, ("model", 3)),
        choice("activation", 3, ("model", 3)),
    ]
)


def _models(point: Point) -> float:
    u = _MODELS.units(point)
    match int(point["model"]):
        case 0:
            ridge = (u["C"] + u["gamma"] - 1.1) ** 2 + 0.3 * (u["gamma"] - 0.5) ** 2
            return 0.04 + 0.05 * u["kernel"] + 0.9 * ridge
        case 1:
            shape = 0.3 * (u["forest_depth"] - 0.8) ** 2 + 0.2 * (u["features"] - 0.35) ** 2
            return 0.06 + shape + 0.1 * u["leaf"]
        case 2:
            valley = (u["shrinkage"] + u["trees"] - 1.25) ** 2 + 0.2 * (u["trees"] - 0.75) ** 2
            return 1.2 * valley + 0.4 * (u["depth"] - 4 / 9) ** 2 + 0.2 * (u["subsample"] - 0.6) ** 2
    shape = 1.5 * (u["rate"] - 0.55) ** 2 + 0.3 * (u["width"] - 0.7) ** 2 + 0.4 * (u["dropout"] - 0.3) ** 2
    return 0.015 + shape + 0.06 * (u["activation"] != 1)


CONDITIONAL: Final = Problem(
    "four models",
    _MODELS,
    _models,
    _models(
        {
            "model": 2,
            "shrinkage": 10**-1.5,
            "trees": 10**2.5,
            "depth": 5,
            "subsample": 0.72,
        }
    ),
)
"""A choice of four models, each with parameters of its own; a valley in the best one."""

_MIXED: Final = SearchSpace(
    [
        log("rate", 1e-5, 1),
        log("decay", 1e-6, 1),
        uniform("momentum", 0, 1),
        whole("layers", 1, 8),
        logwhole("width", 8, 1024),
        whole("patience", 1, 20),
        choice("optimizer", 4),
        choice("schedule", 3),
        choice("norm", 2),
    ]
)
_RATES: Final = (0.6, 0.45, 0.5, 0.75)
_OPTIMIZERS: Final = (0.0, 0.08, 0.03, 0.15)


def _mixed(point: Point) -> float:
    u = _MIXED.units(point)
    optimizer, schedule, norm = int(point["optimizer"]), int(point["schedule"]), int(point["norm"])
    rate = _RATES[optimizer] - 0.15 * (u["layers"] - 0.5) * (norm == 0)
    loss = _OPTIMIZERS[optimizer] + 2.5 * (u["rate"] - rate) ** 2
    loss += 0.5 * (u["decay"] - 0.4 - 0.3 * (schedule == 1)) ** 2 + 0.05 * (schedule == 2)
    loss += 0.4 * (u["momentum"] - 0.9) ** 2 * (optimizer == 0) + 0.05 * (norm == 0)
    size = 0.6 * (u["layers"] - 4 / 7) ** 2 + 0.6 * (u["width"] + 0.4 * u["layers"] - 0.9) ** 2
    return loss + size + 0.05 * abs(u["patience"] - 10 / 19)


def _mixed_optimum() -> float:
    whole_part = [
        0.6 * (layers / 7 - 4 / 7) ** 2
        + 0.6 * (math.log(width / 8) / math.log(128) + 0.4 * layers / 7 - 0.9) ** 2
        for layers in range(8)
        for width in range(8, 1025)
    ]
    return min(whole_part) + 0.05 * min(abs(patience / 19 - 10 / 19) for patience in range(20))


MIXED: Final = Problem("mixed", _MIXED, _mixed, _mixed_optimum())
"""Numbers, whole numbers and categories that depend on one another."""

_NESTED: Final = SearchSpace(
    [
        choice("scaling", 3),
        uniform("power", 0, 2, ("scaling", 1)),
        whole("quantiles", 5, 100, ("scaling", 2)),
        choice("family", 3),
        log("l1", 1e-6, 10, ("family", 0)),
        log("l2", 1e-6, 10, ("family", 0)),
        choice("booster", 2, ("family", 1)),
        log("eta", 1e-3, 1, ("booster", 0)),
        whole("leaves", 2, 128, ("booster", 0)),
        log("dart_eta", 1e-3, 1, ("booster", 1)),
        uniform("drop", 0, 1, ("booster", 1)),
        whole("neighbours", 1, 50, ("family", 2)),
        uniform("metric", 1, 4, ("family", 2)),
        uniform("threshold", 0, 1),
        log("weight", 0.1, 10),
    ]
)


def _nested(point: Point) -> float:
    u = _NESTED.units(point)
    loss = 0.8 * (u["threshold"] - 0.4) ** 2 + 0.8 * (u["weight"] + u["threshold"] - 1.0) ** 2
    match int(point["scaling"]):
        case 0:
            loss += 0.06
        case 1:
            loss += 0.5 * (u["power"] - 0.3) ** 2
        case 2:
            loss += 0.02 + 0.2 * (u["quantiles"] - 0.6) ** 2
    match int(point["family"]):
        case 0:
            return loss + 0.05 + 0.5 * (u["l1"] - 0.3) ** 2 + 0.5 * (u["l2"] - 0.7) ** 2
        case 1 if point["booster"] == 0:
            return loss + 0.02 + (u["eta"] - 0.7) ** 2 + 0.3 * (u["leaves"] - 0.25) ** 2
        case 1:
            return loss + 1.5 * (u["dart_eta"] - 0.6) ** 2 + 1.5 * (u["drop"] - 0.15) ** 2
    return loss + 0.1 + 0.4 * u["neighbours"] + 0.2 * (u["metric"] - 0.33) ** 2


NESTED: Final = Problem("nested", _NESTED, _nested)
"""Two choices beside one another, and a choice within an option."""


def _styblinski(point: Point) -> float:
    x = _values(point)
    return 0.5 * float((x**4 - 16 * x**2 + 5 * x).sum())


STYBLINSKI: Final = Problem("styblinski 6", _line(6, -5, 5), _styblinski, -39.16616570377142 * 6)
"""Two to the power of six local optima, without interactions (Styblinski and Tang 1990)."""
