"""Classic search problems, each written down from its mathematics: a space and a loss to minimise.

A loss takes a point of the space and returns a float; the docstrings say where the minimum is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hyperopt import hp

ARMS = 6
PAYOUTS = (0.3, 0.9, 0.1, 0.7, 0.0, 0.5)


@dataclass(frozen=True, slots=True)
class Problem:
    """A space and the loss of its points."""

    space: Any
    loss: Callable[[Any], float]


def bump(x, centre, width):
    """A gaussian bump of height 1."""
    return math.exp(-(((x - centre) / width) ** 2))


def quadratic(x):
    """0 at 3, by one parabola."""
    return (x - 3.0) ** 2


def two_quadratics(point):
    """0 at 3 of the narrow parabola; the wide one, nowhere lower than 0.5, is easier to descend."""
    if point["parabola"] == "wide":
        return 0.5 + 0.05 * (point["wide"] + 2.0) ** 2
    return (point["narrow"] - 3.0) ** 2


def n_arms(arm):
    """-0.9 at arm 1: what each arm of a bandit pays is fixed."""
    return -PAYOUTS[arm]


def distractor(x):
    """A little below -2 at -10, in a narrow bump; the wide bump at 3 draws the search away from it."""
    return -(2.0 * bump(x, -10.0, 1.0) + bump(x, 3.0, 8.0))


def gauss_wave(x):
    """Just above -2 where a crest of the wave is next to 0: many local minima under a gaussian envelope."""
    return -bump(x, 0.0, 6.0) * (1.0 + math.sin(4.0 * x))


def gauss_wave2(point):
    """A gaussian on which there is a wave only if one is chosen, of an amplitude that only then exists."""
    height = bump(point["x"], 0.0, 6.0)
    if point["curve"]["kind"] == "wave":
        height += point["curve"]["amplitude"] * math.sin(4.0 * point["x"])
    return -height


def many_dists(point):
    """A weighted sum of distances, one for each parameter, and those in logarithms where the prior is."""
    total = 0.4 * point["choice"] + 0.3 * point["pchoice"] + 0.1 * point["randint"]
    total += 0.1 * abs(point["randint_from"] - 4) + 0.1 * abs(point["uniformint"] - 6)
    for label in ("uniform", "quniform", "normal", "qnormal"):
        total += abs(float(point[label]) - 1.0)
    for label in ("loguniform", "qloguniform", "lognormal", "qlognormal"):
        total += abs(math.log(float(point[label]) + 0.1))
    return total


def branin(point):
    """0.397887 at (-pi, 12.275), (pi, 2.275) and (9.42478, 2.475): Branin's function of two variables."""
    x, y = point["x"], point["y"]
    valley = y - 5.1 / (4.0 * math.pi**2) * x**2 + 5.0 / math.pi * x - 6.0
    return valley**2 + 10.0 * (1.0 - 1.0 / (8.0 * math.pi)) * math.cos(x) + 10.0


PROBLEMS = {
    "quadratic": Problem(hp.uniform("x", -5, 5), quadratic),
    "two_quadratics": Problem(
        hp.choice(
            "parabola",
            [
                {"parabola": "wide", "wide": hp.uniform("wide", -10, 10)},
                {"parabola": "narrow", "narrow": hp.normal("narrow", 0, 4)},
            ],
        ),
        two_quadratics,
    ),
    "n_arms": Problem(hp.choice("arm", list(range(ARMS))), n_arms),
    "distractor": Problem(hp.normal("x", 0, 8), distractor),
    "gauss_wave": Problem(hp.uniform("x", -20, 20), gauss_wave),
    "gauss_wave2": Problem(
        {
            "x": hp.uniform("x", -20, 20),
            "curve": hp.choice(
                "curve", [{"kind": "flat"}, {"kind": "wave", "amplitude": hp.lognormal("amplitude", -1, 0.5)}]
            ),
        },
        gauss_wave2,
    ),
    "many_dists": Problem(
        {
            "choice": hp.choice("choice", [0, 1, 2]),
            "pchoice": hp.pchoice("pchoice", [(0.1, 0), (0.2, 1), (0.7, 2)]),
            "randint": hp.randint("randint", 8),
            "randint_from": hp.randint("randint_from", 2, 9),
            "uniform": hp.uniform("uniform", -4, 4),
            "quniform": hp.quniform("quniform", -4, 4, 0.5),
            "uniformint": hp.uniformint("uniformint", 1, 12),
            "loguniform": hp.loguniform("loguniform", -4, 2),
            "qloguniform": hp.qloguniform("qloguniform", 0, 3, 1),
            "normal": hp.normal("normal", 0, 2),
            "qnormal": hp.qnormal("qnormal", 0, 3, 0.5),
            "lognormal": hp.lognormal("lognormal", 0, 1),
            "qlognormal": hp.qlognormal("qlognormal", 1, 1, 0.5),
        },
        many_dists,
    ),
    "branin": Problem({"x": hp.uniform("x", -5, 10), "y": hp.uniform("y", 0, 15)}, branin),
}
