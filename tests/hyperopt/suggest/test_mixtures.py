"""Mixtures are hyperopt's, and densities are within their bounds."""

from __future__ import annotations

import numpy as np
import pytest
from hyperopt import tpe
from hypothesis import given, settings
from hypothesis import strategies as st

from sparkopt.hyperopt.suggest.cells import Cells
from sparkopt.hyperopt.suggest.mixtures import CrowdedMixture, Mixture, certain_best, crowded, few
from tests.support.spaces import seeds

unhurried = settings(deadline=None)

values = st.lists(st.floats(-5, 5), min_size=2, max_size=tpe.DEFAULT_LF)

SAMPLES = {
    "even": lambda rng, count: rng.uniform(-5, 5, count),
    "a heap": lambda rng, count: rng.normal(2, 0.01, count),
    "two heaps": lambda rng, count: rng.choice([-4, 3], count) + rng.normal(0, 0.1, count),
    "wide": lambda rng, count: rng.standard_cauchy(count),
    "equal ones": lambda rng, count: np.round(rng.uniform(-5, 5, count)),
}


def exact(points, weights, centres, deviations):
    """The density, in quadruple precision as far as the machine has it."""
    z = (np.asarray(points, np.longdouble)[:, None] - centres) / deviations
    return (np.exp(-0.5 * z * z) * weights / deviations).sum(axis=1)


def points_around(rng, centres):
    """Points among centres, at them and far away."""
    spread = rng.uniform(centres[0] - 3, centres[-1] + 3, 15)
    return np.concatenate([spread, rng.choice(centres, 8), [centres[0] - 100, centres[-1] + 100]])


@unhurried
@given(values, st.floats(0.01, 5), st.floats(-5, 5), st.floats(0.01, 20))
def test_few_values_make_hyperopts_mixture(found, weight, centre, deviation):
    found = np.array(found)
    ours = few(found, weight, centre, deviation)
    theirs = tpe.adaptive_parzen_normal(found, weight, centre, deviation)
    assert [part.tobytes() for part in ours.parts] == [part.tobytes() for part in theirs]


@pytest.mark.parametrize("sample", sorted(set(SAMPLES) - {"equal ones"}))
@unhurried
@given(seed=seeds, count=st.integers(26, 300), centre=st.floats(-5, 5), weight=st.floats(0.1, 2))
def test_many_values_make_hyperopts_mixture(sample, seed, count, centre, weight):
    found = SAMPLES[sample](np.random.default_rng(seed), count)
    order = np.argsort(found)
    weights = tpe.linear_forgetting_weights(count, tpe.DEFAULT_LF)[order]
    mixture = crowded(found[order], weights, weight, centre, 10.0)
    expected, centres, deviations = tpe.adaptive_parzen_normal(found, weight, centre, 10.0)
    assert mixture.centres.tobytes() == centres.tobytes()
    np.testing.assert_allclose(mixture.weights / mixture.weights.sum(), expected, rtol=1e-12)
    ours = np.full(len(centres), mixture.deviation)
    ours[mixture.wide] = mixture.wide_deviations
    assert ours.tobytes() == deviations.tobytes()


def test_equal_values_that_differ_in_their_deviations_have_no_certain_mixture():
    found = np.sort(np.concatenate([[0.0, 0.0], np.linspace(3, 5, 40)]))
    assert crowded(found, np.ones(42), 1.0, 0.0, 10.0) is None
    assert crowded(np.sort(np.append(found[2:], found[10])), np.ones(41), 1.0, 0.0, 10.0) is not None


@pytest.mark.parametrize("sample", SAMPLES)
@unhurried
@given(seed=seeds, count=st.integers(1, 2000), deviation=st.floats(0.01, 3))
def test_cells_bound_the_density(sample, seed, count, deviation):
    rng = np.random.default_rng(seed)
    centres = np.sort(np.clip(SAMPLES[sample](rng, count), -1000, 1000))
    weights = rng.random(count) * rng.integers(0, 2, count)
    points = points_around(rng, centres)
    low, high = Cells(weights, centres, deviation).bounds(points)
    truth = exact(points, weights, centres, deviation) * deviation
    slack = 1e-11 * weights.sum()  # of rounding, which is not the bounds' concern
    assert (low - slack <= truth).all()
    assert (truth <= high + slack).all()
    nearby = exact(points, weights, centres, 1.5 * deviation) * 1.5 * deviation
    assert (high - low <= 1e-4 * nearby + 1e-7 * weights.sum()).all()


@pytest.mark.parametrize("sample", SAMPLES)
@unhurried
@given(seed=seeds, count=st.integers(26, 4000))
def test_crowded_mixtures_bound_their_density(sample, seed, count):
    rng = np.random.default_rng(seed)
    found = np.sort(SAMPLES[sample](rng, count))
    mixture = crowded(found, rng.random(count), 1.0, 0.5, 10.0)
    if mixture is None:
        return
    deviations = np.full(len(mixture.centres), mixture.deviation)
    deviations[mixture.wide] = mixture.wide_deviations
    points = points_around(rng, mixture.centres)
    truth = exact(points, mixture.weights, mixture.centres, deviations)
    low, missing = mixture.density(points)
    # What is so small that it loses digits is not compared by certain_best.
    tiny = 1e-290
    assert (low <= truth * (1 + 1e-11) + tiny).all()
    assert (truth <= (low + missing) * (1 + 1e-11)).all()
    if not Cells.are_worth_it(mixture.centres, mixture.deviation):
        return
    low, high = mixture.bounds(points)
    assert (low <= truth * (1 + 1e-11) + tiny).all()
    assert (truth <= high * (1 + 1e-11)).all()


def some_mixture(rng, count):
    return Mixture(rng.random(count) + 0.1, np.sort(rng.uniform(-5, 5, count)), rng.uniform(0.3, 2, count))


@unhurried
@given(seed=seeds, many=st.booleans())
def test_the_best_is_the_best(seed, many):
    rng = np.random.default_rng(seed)
    good = some_mixture(rng, 10)
    other = some_mixture(rng, 30)
    if many:
        other = crowded(np.sort(rng.uniform(-5, 5, 1500)), rng.random(1500), 1.0, 0.0, 10.0)
    deviations = other.deviations if isinstance(other, Mixture) else np.full(1501, other.deviation)
    if isinstance(other, CrowdedMixture):
        deviations[other.wide] = other.wide_deviations
    points = rng.uniform(-5, 5, 24)
    ratios = exact(points, *good.parts) / exact(points, other.weights, other.centres, deviations)
    assert certain_best(points, good, other) == np.argmax(ratios)
    twice = np.repeat(points, 2)
    assert certain_best(twice, good, other) == 2 * np.argmax(ratios)


@pytest.mark.parametrize("count", [30, 1500])
def test_what_is_too_close_to_call_is_not_called(count):
    rng = np.random.default_rng(0)
    good, values = Mixture(*np.ones((3, 4))), np.sort(rng.uniform(-5, 5, count))
    other = crowded(values, np.ones(count), 1.0, 0.0, 10.0) if count > 100 else good
    point = -4.0
    assert certain_best(np.array([point, np.nextafter(point, 5)]), good, other) is None


def test_densities_that_vanish_are_not_compared():
    good, other = Mixture(*np.ones((3, 1))), Mixture(np.ones(1), np.zeros(1), np.full(1, 1e-3))
    assert certain_best(np.array([1.0, 2.0]), good, other) is None
    assert certain_best(np.array([0.01, 0.02]), other, good) == 0
    assert certain_best(np.array([0.0, 2.0]), other, good) is None
