"""Learning curves of real models: recorded once, so that rules of pruning can be compared on the same ones.

    python -m benchmarks.learning_curves      records them again, into benchmarks/curves/; takes minutes

Each curve is the validation loss of a model with hyperparameters drawn at random, step by step. Both data
sets come with scikit-learn.

    digits     a neural network of one hidden layer; log loss after each of 27 epochs
    diabetes   boosted regression trees; mean squared error after each of 81 trees

Of digits, early losses say how a trial will end; of diabetes they say much less, as trees that learn slowly
win late.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.searches.parameters import Point, SearchSpace, choice, log, logwhole, uniform, whole

DIRECTORY: Final = Path(__file__).with_name("curves")
COUNT: Final = 270
"""Curves of each kind."""

_DIGITS: Final = 5
"""Significant digits of a recorded loss."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Recorded curves of one kind.

    Attributes:
        name: of the kind.
        steps: how many losses each curve has.
        losses: by curve.
    """

    name: str
    steps: int
    losses: list[list[float]]

    def rank_correlation(self, step: int) -> float:
        """Spearman's correlation of the loss at a step, from 1, with that at the end."""
        table = np.array(self.losses)
        early, late = (np.argsort(np.argsort(column)) for column in (table[:, step - 1], table[:, -1]))
        return float(np.corrcoef(early, late)[0, 1])


def load(name: str) -> Curves:
    """Return the recorded curves of a kind."""
    losses = json.loads((DIRECTORY / f"{name}.json").read_text())
    return Curves(name, len(losses[0]), losses)


@dataclass(frozen=True, slots=True)
class Kind:
    """A model on a data set.

    Attributes:
        space: of its hyperparameters.
        drawn: draws a point of the space for a recorded curve, and the seed that the model is trained with.
        train: trains the model of a point with a seed; its validation losses.
    """

    space: SearchSpace
    drawn: Callable[[np.random.Generator], tuple[Point, int]]
    train: Callable[[Point, int], list[float]]

    def recorded(self, name: str) -> list[tuple[Point, int]]:
        """The points and seeds of the recorded curves of this kind, whose name has to be given."""
        return [self.drawn(np.random.default_rng([number, len(name)])) for number in range(COUNT)]


_ACTIVATIONS: Final = ("relu", "tanh")


def _drawn_digits(rng: np.random.Generator) -> tuple[Point, int]:
    point: Point = {
        "width": int(2 ** rng.uniform(2, 7)),
        "rate": float(10 ** rng.uniform(-4.5, -1)),
        "alpha": float(10 ** rng.uniform(-6, 0)),
        "batch": int(rng.integers(5, 9)),
        "activation": _ACTIVATIONS.index(rng.choice(_ACTIVATIONS)),
    }
    return point, int(rng.integers(2**31))


def digits(point: Point, seed: int) -> list[float]:
    """Train a network on handwritten digits."""
    from sklearn.datasets import load_digits
    from sklearn.metrics import log_loss
    from sklearn.neural_network import MLPClassifier

    images, labels = load_digits(return_X_y=True)
    train, validation = _split(len(labels))
    network = MLPClassifier(
        hidden_layer_sizes=(int(point["width"]),),
        learning_rate_init=point["rate"],
        alpha=point["alpha"],
        batch_size=2 ** int(point["batch"]),
        activation=_ACTIVATIONS[int(point["activation"])],
        random_state=seed,
    )
    losses = []
    for _ in range(27):
        network.partial_fit(images[train] / 16, labels[train], classes=range(10))
        chances = network.predict_proba(images[validation] / 16)
        losses.append(float(log_loss(labels[validation], chances, labels=range(10))))
    return losses


def _drawn_diabetes(rng: np.random.Generator) -> tuple[Point, int]:
    point: Point = {
        "rate": float(10 ** rng.uniform(-2.5, 0)),
        "depth": int(rng.integers(1, 8)),
        "subsample": float(rng.uniform(0.3, 1)),
        "leaf": int(rng.integers(1, 30)),
        "features": float(rng.uniform(0.2, 1)),
    }
    return point, int(rng.integers(2**31))


def diabetes(point: Point, seed: int) -> list[float]:
    """Boost trees that tell the progress of diabetes."""
    from sklearn.datasets import load_diabetes
    from sklearn.ensemble import GradientBoostingRegressor
    from sklearn.metrics import mean_squared_error

    inputs, progress = load_diabetes(return_X_y=True)
    train, validation = _split(len(progress))
    trees = GradientBoostingRegressor(
        n_estimators=81,
        learning_rate=point["rate"],
        max_depth=int(point["depth"]),
        subsample=point["subsample"],
        min_samples_leaf=int(point["leaf"]),
        max_features=point["features"],
        random_state=seed,
    )
    trees.fit(inputs[train], progress[train])
    staged = trees.staged_predict(inputs[validation])
    return [float(mean_squared_error(progress[validation], said)) for said in staged]


KINDS: Final[Mapping[str, Kind]] = {
    "digits": Kind(
        SearchSpace(
            [
                logwhole("width", 4, 128),
                log("rate", 10**-4.5, 1e-1),
                log("alpha", 1e-6, 1),
                whole("batch", 5, 8),
                choice("activation", len(_ACTIVATIONS)),
            ]
        ),
        _drawn_digits,
        digits,
    ),
    "diabetes": Kind(
        SearchSpace(
            [
                log("rate", 10**-2.5, 1),
                whole("depth", 1, 7),
                uniform("subsample", 0.3, 1),
                whole("leaf", 1, 29),
                uniform("features", 0.2, 1),
            ]
        ),
        _drawn_diabetes,
        diabetes,
    ),
}


def _split(count: int) -> tuple[Any, Any]:
    order = np.random.default_rng(0).permutation(count)
    return order[count // 3 :], order[: count // 3]


def _record() -> None:
    DIRECTORY.mkdir(exist_ok=True)
    for name, kind in KINDS.items():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            curves = [kind.train(point, seed) for point, seed in kind.recorded(name)]
        rounded = [[float(f"{loss:.{_DIGITS}g}") for loss in curve] for curve in curves]
        text = ",\n".join(json.dumps(curve) for curve in rounded)
        (DIRECTORY / f"{name}.json").write_text(f"[\n{text}\n]\n")


if __name__ == "__main__":
    _record()
