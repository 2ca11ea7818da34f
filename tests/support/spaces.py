"""Random spaces of every kind of hyperopt's, and values told apart by type and bit."""

from __future__ import annotations

import numpy as np
from hyperopt import hp
from hyperopt.pyll import scope
from hypothesis import strategies as st

LABEL = "x"

seeds = st.integers(0, 2**31 - 1)
centres = st.floats(-50, 50)
exponents = st.floats(-10, 10)
steps = st.floats(0.01, 5)
options = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)

SHARED = hp.uniform("shared", 0, 1)

UNUSUAL = {
    "a constant": {"one": 1, "two": [2.0, "three"]},
    "a parameter in several branches": hp.choice("which", [SHARED, -SHARED, {"twice": [SHARED, SHARED]}]),
    "a parameter in a branch and beside it": [
        hp.choice("a", [SHARED, 1]),
        SHARED,
        hp.choice("z", [SHARED, 2]),
    ],
    "arithmetic on parameters": [SHARED + hp.randint("n", 4), scope.int(hp.quniform("q", 0, 9, 1))],
    "a choice of choices": hp.choice("outer", [hp.choice("inner", [1, 2]), hp.choice("other", [SHARED, 3])]),
    "an option of one": hp.pchoice("only", [(1.0, hp.choice("alone", ["x"]))]),
}
"""Spaces by what is unusual about them, which every accelerated algorithm knows."""


def spans(ends, least=0.01, most=30.0):
    """A lower and a higher bound."""
    return st.tuples(ends, st.floats(least, most)).map(lambda pair: (pair[0], pair[0] + pair[1]))


def pchoices(labels):
    """A choice whose options have random probabilities."""
    weighted = st.lists(st.tuples(st.integers(1, 9), options), min_size=1, max_size=5)

    def build(pairs, label):
        total = sum(weight for weight, _ in pairs)
        return hp.pchoice(label, [(weight / total, option) for weight, option in pairs])

    return st.builds(build, weighted, labels)


def spread(distribution, wide, quantised=False):
    """Spaces of a distribution that has a centre and a standard deviation."""
    centre, deviation = (centres, st.floats(0.01, 20)) if wide else (st.floats(-3, 3), st.floats(0.01, 2))
    return st.builds(distribution, st.just(LABEL), centre, deviation, *([steps] if quantised else []))


def between(distribution, ends, quantised=False, most=30.0):
    """Spaces of a distribution that has bounds."""
    extra = [steps] if quantised else []
    return st.tuples(spans(ends, most=most), *extra).map(
        lambda drawn: distribution(LABEL, *drawn[0], *drawn[1:])
    )


whole_spans = st.tuples(st.integers(-50, 50), st.integers(1, 100)).map(lambda it: (it[0], it[0] + it[1]))
positive_spans = st.tuples(st.integers(0, 50), st.integers(1, 100)).map(lambda it: (it[0], it[0] + it[1]))

SPACES = {
    "uniform": between(hp.uniform, centres),
    "quniform": between(hp.quniform, centres, quantised=True),
    "uniformint": whole_spans.map(lambda span: hp.uniformint(LABEL, *span)),
    "loguniform": between(hp.loguniform, exponents, most=10.0),
    "qloguniform": between(hp.qloguniform, exponents, quantised=True, most=10.0),
    "normal": spread(hp.normal, wide=True),
    "qnormal": spread(hp.qnormal, wide=True, quantised=True),
    "lognormal": spread(hp.lognormal, wide=False),
    "qlognormal": spread(hp.qlognormal, wide=False, quantised=True),
    "randint": st.integers(1, 2**31 - 1).map(lambda high: hp.randint(LABEL, high)),
    "randint from": positive_spans.map(lambda span: hp.randint(LABEL, *span)),
    "choice": st.lists(options, min_size=1, max_size=5).map(lambda found: hp.choice(LABEL, found)),
    "pchoice": pchoices(st.just(LABEL)),
}


@st.composite
def nested(draw):
    """A space that branches, with constants, lists, tuples and arithmetic in it."""
    low, high = draw(spans(centres))
    return hp.choice(
        "model",
        [
            {"kind": draw(options), "parts": [hp.lognormal("a", 0, 1), (hp.randint("b", 9),)]},
            (
                draw(options),
                hp.uniform("c", low, high) * 2 + 1,
                {"deep": hp.choice("d", [None, [hp.qnormal("e", 0, 9, 1), np.float32(0.1)]])},
            ),
            {"count": 10 + hp.randint("f", 3, 90), "share": draw(pchoices(st.just("g")))},
        ],
    )


def typed(value):
    """A value such that only what is of the same types and the same bits equals it."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    if isinstance(value, np.generic):
        return type(value), value.dtype, value.tobytes()
    return type(value), float.hex(value) if isinstance(value, float) else value
