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
from sparkopt.hyperopt.space import Space
from sparkopt.wire import codec
from sparkopt.wire.v1 import trial_pb2
from tests.support.spaces import SPACES, nested, seeds, typed

SEED = 17


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
