"""Whatever hyperopt draws reaches the objective as it was drawn, in type and in every bit."""

from __future__ import annotations

import pickle

import hyperopt
import numpy as np
import pytest
from hyperopt import hp, rand
from hyperopt.base import Domain
from hypothesis import given
from hypothesis import strategies as st

from sparkopt import SparkTrials, fmin
from sparkopt.space import Space
from sparkopt.wire import codec
from sparkopt.wire.v1 import trial_pb2

LABEL = "x"
SEED = 17

seeds = st.integers(0, 2**31 - 1)
centres = st.floats(-50, 50)
exponents = st.floats(-10, 10)
steps = st.floats(0.01, 5)
options = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5)


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


def draw_document(domain, seed):
    """A proposal, as hyperopt draws one."""
    (document,) = rand.suggest([0], domain, hyperopt.Trials(), seed)
    return document


def across(value):
    """A value after its way to a worker: pickled, in a message, serialised, and all of it undone."""
    data = trial_pb2.Payload(inline=codec.dumps(value)).SerializeToString()
    return codec.loads(trial_pb2.Payload.FromString(data).inline)


def as_hyperopt_passes_it(space, vals):
    """What serial hyperopt calls the objective with."""
    passed = []

    def objective(point):
        passed.append(point)
        return 0.0

    config = hyperopt.base.spec_from_misc({"vals": vals})
    Domain(objective, space).evaluate(config, hyperopt.base.Ctrl(hyperopt.Trials()))
    (point,) = passed
    return point


def check(space, seed):
    domain = Domain(None, space)
    vals = draw_document(domain, seed)["misc"]["vals"]
    argument = Space(domain).argument(vals)
    assert typed(argument) == typed(as_hyperopt_passes_it(space, vals))
    assert typed(across(argument)) == typed(argument)
    assert typed(across(vals)) == typed(vals)


@pytest.mark.parametrize("kind", SPACES)
@given(data=st.data(), seed=seeds)
def test_a_drawn_value_arrives_as_it_was_drawn(kind, data, seed):
    check(data.draw(SPACES[kind]), seed)


@given(nested(), seeds)
def test_a_drawn_point_of_a_nested_space_arrives_as_it_was_drawn(space, seed):
    check(space, seed)


def test_every_kind_of_parameter_is_drawn():
    kinds = {name for name in vars(hp) if not name.startswith("_")}
    assert set(SPACES) == kinds | {"randint from"}


SEARCHED = {
    "uniform": hp.uniform("uniform", -1, 1),
    "quniform": hp.quniform("quniform", 0, 10, 0.3),
    "uniformint": hp.uniformint("uniformint", 1, 9),
    "loguniform": hp.loguniform("loguniform", -5, 1),
    "qloguniform": hp.qloguniform("qloguniform", 0, 4, 1),
    "normal": hp.normal("normal", 0, 2),
    "qnormal": hp.qnormal("qnormal", 0, 5, 1),
    "lognormal": hp.lognormal("lognormal", 0, 1),
    "qlognormal": hp.qlognormal("qlognormal", 1, 0.5, 1),
    "randint": hp.randint("randint", 7),
    "randint from": hp.randint("randint_from", 3, 9),
    "choice": hp.choice("choice", [("a", hp.normal("inner", 0, 1)), [None, -0.0], np.float32(0.1)]),
    "pchoice": hp.pchoice("pchoice", [(0.3, "left"), (0.7, {"right": 10 + hp.randint("ten", 10)})]),
}


def test_the_objective_is_called_with_what_serial_hyperopt_calls_it_with(spark):
    def objective(point):
        return {"loss": point["uniform"] ** 2, "status": "ok", "seen": pickle.dumps(point)}

    def seen(search, trials):
        search(
            objective,
            SEARCHED,
            rand.suggest,
            max_evals=20,
            trials=trials,
            rstate=np.random.default_rng(SEED),
            verbose=False,
        )
        return [typed(pickle.loads(result["seen"])) for result in trials.results]

    assert seen(fmin, SparkTrials(1, spark_session=spark)) == seen(hyperopt.fmin, hyperopt.Trials())
