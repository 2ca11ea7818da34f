"""On hyperopt's classic problems one worker and no queue search exactly as serial hyperopt does."""

from __future__ import annotations

import cloudpickle
import hyperopt
import numpy as np
import pytest
from hyperopt import anneal, hp, rand, tpe

import sparkopt
from tests.hyperopt.compat import domains

TRIALS = 30
"""Ten of them after TPE's twenty random ones."""

ALGORITHMS = {"rand": rand.suggest, "tpe": tpe.suggest, "anneal": anneal.suggest}

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(domains)


def typed(value):
    """A value with the type of everything in it."""
    if isinstance(value, dict):
        return {key: typed(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [typed(item) for item in value]
    return type(value), value


@pytest.mark.parametrize("name", domains.PROBLEMS)
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_same_proposals_losses_and_best_values(spark, algorithm, name):
    problem = domains.PROBLEMS[name]

    def search(fmin, trials):
        return fmin(
            problem.loss,
            problem.space,
            ALGORITHMS[algorithm],
            max_evals=TRIALS,
            max_queue_len=1,
            trials=trials,
            rstate=np.random.default_rng(29),
            verbose=False,
        )

    theirs, ours = hyperopt.Trials(), sparkopt.SparkTrials(1, spark_session=spark)
    expected, found = search(hyperopt.fmin, theirs), search(sparkopt.fmin, ours)

    assert len(ours) == TRIALS
    for mine, other in zip(ours.trials, theirs.trials, strict=True):
        assert typed(mine["misc"]["vals"]) == typed(other["misc"]["vals"])
        assert typed(mine["misc"]["idxs"]) == typed(other["misc"]["idxs"])
    assert typed(ours.losses()) == typed(theirs.losses())
    assert typed(found) == typed(expected)
    assert typed(ours.argmin) == typed(expected)


def test_every_kind_of_parameter_is_in_the_sum_of_all():
    domain = hyperopt.base.Domain(domains.many_dists, domains.PROBLEMS["many_dists"].space)
    kinds = {name for name in vars(hp) if not name.startswith("_")}
    assert set(domain.params) == kinds | {"randint_from"}
