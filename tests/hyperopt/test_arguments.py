"""Wrong arguments are refused before anything starts, with their name, what came and what is expected."""

from __future__ import annotations

import asyncio
import datetime
import functools
import threading
from decimal import Decimal

import hyperopt
import numpy as np
import pytest
from hyperopt import Trials, base, hp, pyll, rand, tpe
from hyperopt.early_stop import no_progress_loss

import sparkopt
from sparkopt import Control, SparkTrials, WorkerPool, fmin
from sparkopt.errors import ArgumentTypeError, ArgumentValueError, PoolClosedError, RefusedError
from tests.support.study_tools import CASE, in_order, jobs

NAN, INF = float("nan"), float("inf")


class Unspeakable:
    """A value whose repr raises."""

    def __repr__(self):
        raise RuntimeError


class Awaited:
    """An instance whose call has to be awaited."""

    async def __call__(self, case):
        return case


async def awaited(case):
    return case


def yielding(case):
    yield case


def of_two(one, other):
    return one + other


def annotated_in_words(x: "a uniform number"):  # noqa: F722
    return x


def decorated(function):
    """A decorator as most are: what it makes takes other arguments than what it wraps."""

    @functools.wraps(function)
    def called(case):
        return function(case, case)

    return called


def raw(expr, memo, ctrl):
    return 1.0


OF_FMIN = [
    ("fn", 3, "callable with one argument, the point, got 3 (int)"),
    ("fn", None, "got None"),
    ("fn", hyperopt, "got the module hyperopt"),
    ("fn", awaited, "asyncio.run"),
    ("fn", Awaited(), "asyncio.run"),
    ("fn", functools.partial(awaited), "asyncio.run"),
    ("fn", yielding, "`yield`"),
    ("fn", lambda: 1.0, "its signature is ()"),
    ("fn", of_two, "missing a required argument: 'other'"),
    ("fn", functools.partial(of_two, third=3), "'third'"),
    ("fn", raw, "missing a required argument: 'memo'"),
    ("space", None, "must be a hyperopt expression"),
    ("space", "x", "got 'x' (str)"),
    ("space", 3, "no hyperparameter"),
    ("space", {}, "no hyperparameter"),
    ("space", {"x": 1.0}, "no hyperparameter"),
    ("space", hp.uniform, "no hyperparameter"),
    ("space", np.ones(3), "no hyperparameter"),
    ("space", hp.pchoice("kind", [(-0.5, 1), (1.5, 2)]), "has 'kind', which cannot be drawn from"),
    ("space", hp.quniform("x", 0, 1, 0), "has 'x', which is drawn as nan"),
    ("space", [hp.uniform("x", 0, 1), hp.normal("x", 0, 1)], "two hyperparameters with the label 'x'"),
    ("space", {"kind": hp.choice("kind", [])}, "no options for 'kind'"),
    ("space", hp.pchoice("kind", [(-0.5, 1), (1.5, 2)]), "cannot be drawn from (ValueError: pvals < 0"),
    ("space", hp.uniform(b"x", 0, 1), "a label that is not text: b'x' (bytes)"),
    ("space", {"n": hp.randint("n", 3), "kept": threading.Lock()}, "'kept' of the space is <unlocked"),
    (
        "space",
        {"n": hp.randint("n", 3), "at": [{"deep": threading.Lock()}]},
        "'deep' of 'at' of the space is",
    ),
    ("space", hp.randint("n", 0), "has 'n', which cannot be drawn from"),
    ("space", hp.normal("x", 0, -1), "has 'x', which cannot be drawn from"),
    ("space", hp.uniform("x", 0, "one"), "has 'x'"),
    ("space", hp.uniform("x", 0, NAN), "has 'x'"),
    ("space", hp.uniform("x", 1, None), "has 'x'"),
    ("space", hp.normal("x", INF, 1), "has 'x'"),
    ("algo", "tpe", "callable, as hyperopt.tpe.suggest is"),
    ("algo", tpe, "give its function, hyperopt.tpe.suggest"),
    ("algo", tpe.suggest([], base.Domain(float, CASE), Trials(), 1), "got [] (list)"),
    ("algo", Trials, "got the class Trials"),
    ("algo", lambda ids: [], "its signature is (ids)"),
    ("algo", functools.partial(tpe.suggest, gama=0.2), "gama"),
    ("max_evals", "10", "None or a whole number of trials that is not negative, got '10' (str)"),
    ("max_evals", -1, "got -1"),
    ("max_evals", 2.5, "got 2.5"),
    ("max_evals", NAN, "got nan"),
    ("max_evals", -INF, "got -inf"),
    ("max_evals", True, "got True"),
    ("max_evals", [10], "got [10]"),
    ("max_evals", np.array([3]), "max_evals must be"),
    ("timeout", "60", "Given value: 60"),
    ("timeout", 0, "Given value: 0"),
    ("timeout", NAN, "got nan"),
    ("timeout", 1j, "got 1j"),
    ("timeout", datetime.timedelta(seconds=3), "timeout argument"),
    ("loss_threshold", "low", "Given value: low"),
    ("loss_threshold", NAN, "got nan"),
    ("loss_threshold", 1j, "got 1j"),
    ("rstate", 42, "for a seed, give numpy.random.default_rng(42)"),
    ("rstate", np.int64(7), "numpy.random.default_rng(7)"),
    ("rstate", np.random.RandomState(42), "None or a numpy.random.Generator"),
    ("rstate", np.random, "the module numpy.random"),
    ("rstate", True, "numpy.random.default_rng(42)"),
    ("allow_trials_fmin", "yes", "True or False"),
    ("pass_expr_memo_ctrl", "no", "None, True or False"),
    ("pass_expr_memo_ctrl", True, "callable with expr, memo and ctrl"),
    ("catch_eval_exceptions", ValueError, "True or False, got the class ValueError"),
    ("catch_eval_exceptions", None, "got None"),
    ("verbose", "no", "True or False"),
    ("return_argmin", "False", "True or False"),
    ("return_argmin", 2, "got 2"),
    ("return_argmin", Unspeakable(), "Unspeakable"),
    ("show_progressbar", "yes", "callable with initial and total"),
    ("show_progressbar", lambda: None, "its signature is ()"),
    ("early_stop_fn", 3, "None, or callable with the trials"),
    ("early_stop_fn", lambda: (True, []), "its signature is ()"),
    ("early_stop_fn", no_progress_loss, "no_progress_loss(20)"),
    ("early_stop_fn", awaited, "async def"),
    ("max_queue_len", 0, "at least 1, got 0"),
    ("max_queue_len", 1.5, "a whole number, at least 1, got 1.5"),
    ("max_queue_len", None, "got None"),
    ("points_to_evaluate", {"case": 1}, "a list of dictionaries"),
    ("points_to_evaluate", "case", "a list of dictionaries"),
    ("points_to_evaluate", np.ones(3), "a list of dictionaries"),
    ("points_to_evaluate", ({"case": each} for each in range(2)), "a list of dictionaries"),
]


HYPEROPTS = ("allow_trials_fmin", "points_to_evaluate", "timeout", "loss_threshold")
"""Arguments that hyperopt looks at before we are asked, or keeps."""


def name_in(parameters):
    return [f"{index}-{case[0]}" for index, case in enumerate(parameters)]


def reaches_us(name, value):
    """Whether hyperopt's own fmin hands the argument on to us unseen."""
    return name not in HYPEROPTS and not isinstance(value, np.ndarray)


WAYS = [
    pytest.param(*case, way, id=f"{index}-{case[0]}-{whose}")
    for index, case in enumerate(OF_FMIN)
    for whose, way in (("ours", sparkopt.fmin), ("hyperopts", hyperopt.fmin))
    if whose == "ours" or reaches_us(*case[:2])
]


@pytest.mark.parametrize(("name", "value", "said", "way"), WAYS)
def test_arguments_of_fmin(spark, new_trials, name, value, said, way):
    before, trials = jobs(spark), new_trials(parallelism=1)
    given = {"fn": lambda case: case, "space": CASE, "algo": in_order, "max_evals": 3, "verbose": False}
    with pytest.raises(RefusedError) as caught:
        way(**{**given, name: value}, trials=trials)
    pickles = name != "space" or "sent to workers" not in str(caught.value)
    assert isinstance(caught.value, (TypeError, ValueError)) or name == "points_to_evaluate" or not pickles
    about = "fn" if name == "pass_expr_memo_ctrl" and value is True else name
    assert about in str(caught.value)
    assert said in str(caught.value)
    assert len(trials) == len(trials._dynamic_trials) == 0
    assert jobs(spark) == before
    # Nothing is left locked.
    way(**{**given, "max_evals": 0, "return_argmin": False}, trials=trials)


def test_a_space_that_cannot_be_drawn_from_is_told_once(new_trials, capsys):
    with pytest.raises(ArgumentValueError, match="scale < 0"):
        fmin(float, hp.normal("x", 0, -1), in_order, 3, trials=new_trials(1), verbose=False)
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("seed", ["forty-two", "-3", "1.5"])
def test_a_seed_in_the_environment_that_is_none(new_trials, monkeypatch, seed):
    monkeypatch.setenv("HYPEROPT_FMIN_SEED", seed)
    trials = new_trials(1)
    with pytest.raises(ArgumentValueError, match=f"variable HYPEROPT_FMIN_SEED must be .* got '{seed}'"):
        fmin(float, CASE, in_order, 3, trials=trials, verbose=False)
    fmin(float, CASE, in_order, 1, trials=trials, verbose=False, rstate=np.random.default_rng(1))
    assert trials.losses() == [0]


@pytest.mark.parametrize("trials", [SparkTrials, [], "trials", {}, 3, WorkerPool])
def test_places_for_trials(trials):
    with pytest.raises(ArgumentTypeError, match=r"trials must be None, SparkTrials or one of"):
        fmin(lambda case: case, CASE, rand.suggest, 3, trials=trials)


def test_what_hyperopt_takes_is_taken(new_trials):
    trials = new_trials(parallelism=np.int64(1), max_attempts=np.int32(2))
    fmin(
        decorated(lambda one, other: one + other),
        CASE,
        functools.partial(in_order),
        np.float64(2.0),
        timeout=Decimal(1000),
        loss_threshold=-INF,
        max_queue_len=np.int8(1),
        verbose=0,
        return_argmin=np.bool_(True),
        catch_eval_exceptions=1,
        trials=trials,
    )
    assert trials.losses() == [0, 2]
    fmin(float, CASE, in_order, 3.0, trials=trials, verbose=np.False_, show_progressbar=0)
    assert trials.losses() == [0, 2, 2]


def test_no_limit_of_trials_may_be_infinity(new_trials):
    trials = new_trials(parallelism=1)
    fmin(float, CASE, in_order, INF, early_stop_fn=no_progress_loss(2), trials=trials, verbose=False)
    assert len(trials) >= 2


def test_a_time_limit_may_be_infinity(new_trials):
    trials = new_trials(parallelism=1, timeout=INF, trial_timeout=INF)
    fmin(float, CASE, in_order, 2, trials=trials, verbose=False)
    assert trials.losses() == [0, 1]


def test_conditional_spaces_are_none_to_refuse(new_trials):
    low = hp.uniform("low", 0, 1)
    space = {"x": hp.normal("x", low, 1), "kind": hp.choice("kind", [1, {"n": hp.randint("n", 3)}])}
    fmin(lambda point: point["x"], space, rand.suggest, 2, trials=new_trials(1), verbose=False)


class TestAnnotated:
    def test_without_annotations(self, new_trials):
        with pytest.raises(ArgumentTypeError, match=r"space='annotated' .* has none"):
            fmin(lambda x: x, "annotated", rand.suggest, 3, trials=new_trials(1))

    @pytest.mark.parametrize("fn", [annotated_in_words, sum])
    def test_annotations_that_are_no_space(self, new_trials, fn):
        with pytest.raises(ArgumentTypeError, match="space='annotated'"):
            fmin(fn, "annotated", rand.suggest, 3, trials=new_trials(1))

    def test_annotations_that_are_one(self, new_trials):
        def objective(x):
            return x

        objective.__annotations__ = {"x": hp.uniform("x", 0, 1)}
        trials = new_trials(1)
        fmin(objective, "annotated", rand.suggest, 2, trials=trials, verbose=False)
        assert len(trials) == 2


OF_TRIALS = [
    ("parallelism", "4", "got '4' (str)"),
    ("parallelism", 2.5, "got 2.5"),
    ("parallelism", NAN, "got nan"),
    ("parallelism", True, "got True"),
    ("parallelism", [2], "got [2]"),
    ("timeout", "60", "Given value: 60"),
    ("timeout", NAN, "got nan"),
    ("timeout", -1, "Given value: -1"),
    ("loss_threshold", NAN, "got nan"),
    ("loss_threshold", "0.1", "Given value: 0.1"),
    ("trial_timeout", "60", "None or a positive number of seconds, got '60' (str)"),
    ("trial_timeout", NAN, "got nan"),
    ("trial_timeout", True, "got True"),
    ("trial_timeout", datetime.timedelta(minutes=1), "total_seconds()"),
    ("start_timeout", "60", "start_timeout"),
    ("start_timeout", NAN, "start_timeout"),
    ("start_timeout", -1, "start_timeout"),
    ("max_attempts", None, "got None"),
    ("max_attempts", "3", "at least 1, got '3' (str)"),
    ("max_attempts", 1.5, "got 1.5"),
    ("tracking", "no", "None, True, False or a Tracking, got 'no' (str)"),
    ("control", 7727, "got 7727"),
    ("control", b"host:1", "control"),
    ("pool", "pool", "None or a WorkerPool"),
    ("pool", WorkerPool, "got the class WorkerPool"),
    ("resource_profile", {"cpu": 1}, "None or a pyspark.resource.ResourceProfile"),
]


@pytest.mark.parametrize(("name", "value", "said"), OF_TRIALS, ids=name_in(OF_TRIALS))
def test_arguments_of_spark_trials(new_trials, name, value, said):
    with pytest.raises(RefusedError) as caught:
        new_trials(**{"parallelism": 1, **({"parallelism": None} if name == "pool" else {}), name: value})
    assert isinstance(caught.value, (TypeError, ValueError))
    assert name in str(caught.value)
    assert said in str(caught.value)


@pytest.mark.parametrize("kind", [SparkTrials, WorkerPool])
class TestSessions:
    @pytest.mark.parametrize("value", ["local[2]", 4, {}, []], ids=repr)
    def test_something_else(self, kind, value):
        with pytest.raises(ArgumentTypeError, match="spark_session must be None or a SparkSession"):
            kind(parallelism=1, spark_session=value)

    def test_its_context(self, kind, spark):
        with pytest.raises(ArgumentTypeError, match=r"spark_session .*SparkSession\.builder\.getOrCreate"):
            kind(parallelism=1, spark_session=spark.sparkContext)

    def test_its_builder_and_its_class(self, kind, spark):
        with pytest.raises(ArgumentTypeError, match=r"spark_session .*call its getOrCreate"):
            kind(parallelism=1, spark_session=type(spark).builder)
        with pytest.raises(ArgumentTypeError, match=r"spark_session .*got the class SparkSession"):
            kind(parallelism=1, spark_session=type(spark))


OF_POOLS = [
    ("parallelism", "4", "got '4' (str)"),
    ("parallelism", 0.5, "got 0.5"),
    ("gang_size", "2", "None or a whole number, at least 1"),
    ("gang_size", 0, "got 0"),
    ("gang_size", 1.5, "got 1.5"),
    ("policy", {"grace": 30}, "None or a Policy"),
    ("heartbeat", None, "a positive number of seconds, got None"),
    ("heartbeat", 0, "got 0"),
    ("heartbeat", INF, "got inf"),
    ("heartbeat", "1", "got '1' (str)"),
    ("start_timeout", "60", "start_timeout"),
    ("start_timeout", True, "start_timeout"),
    ("grace", "30", "got '30' (str)"),
    ("grace", NAN, "got nan"),
    ("grace", INF, "a finite number of seconds, got inf"),
    ("control", 7727, "got 7727"),
    ("resource_profile", "gpu", "got 'gpu' (str)"),
]


@pytest.mark.parametrize(("name", "value", "said"), OF_POOLS, ids=name_in(OF_POOLS))
def test_arguments_of_pools(spark, name, value, said):
    with pytest.raises(RefusedError) as caught:
        WorkerPool(**{"parallelism": 1, "spark_session": spark, name: value})
    assert name in str(caught.value)
    assert said in str(caught.value)


OF_EVALUATIONS = [
    ("fn", 3, "callable with one argument"),
    ("fn", awaited, "asyncio.run"),
    ("fn", of_two, "missing a required argument"),
    ("space", "x", "got 'x' (str)"),
    ("space", {"x": 1}, "no hyperparameter"),
    ("trial_timeout", "60", "got '60' (str)"),
    ("max_attempts", None, "got None"),
    ("name", 3, "got 3"),
    ("names", "a", "did you mean 'name'?"),
]


def test_arguments_of_evaluations(spark):
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        for name, value, said in OF_EVALUATIONS:
            with pytest.raises(RefusedError) as caught:
                pool.open_evaluation(**{"fn": lambda point: 1.0, name: value})
            assert name in str(caught.value)
            assert said in str(caught.value)
        with pool.open_evaluation(lambda point: 1.0) as evaluation:
            with pytest.raises(ArgumentTypeError, match="timeout must be"):
                evaluation.wait("1")
            with pytest.raises(ArgumentTypeError, match="finish_running must be"):
                evaluation.stop(finish_running="yes")
            with pytest.raises(ArgumentValueError, match="grace must be"):
                evaluation.stop(grace=-1)
            assert not evaluation.wait(0)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"listen": 7727}, "listen must be host:port, got 7727"),
        ({"token": b"secret"}, "token must be"),
        ({"token_file": 3}, "token_file must be None or a path, got 3"),
        ({"tls_cert": 3, "tls_key": 4}, "tls_cert must be None or a path, got 3"),
    ],
)
def test_arguments_of_control(arguments, said):
    with pytest.raises(RefusedError) as caught:
        Control(**arguments)
    assert said in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: fmin(float, CASE, max_eval=3), r"fmin\(\) has no argument 'max_eval': .*'max_evals'\?"),
        (lambda: SparkTrials(parallelisim=3), r"SparkTrials\(\) has no argument .*'parallelism'\?"),
        (lambda: WorkerPool(gangs=3), r"WorkerPool\(\) has no argument 'gangs'"),
        (lambda: SparkTrials(zzz=3), r"'zzz'; it has parallelism, timeout"),
    ],
)
def test_keywords_that_there_are_not(call, said):
    with pytest.raises(ArgumentTypeError, match=said):
        call()


class TestPools:
    def test_one_that_was_not_opened_and_one_that_was_closed(self, spark):
        pool = WorkerPool(1, spark_session=spark)
        trials = SparkTrials(pool=pool, tracking=False)
        with pytest.raises(PoolClosedError, match="has not been opened yet"):
            fmin(float, CASE, in_order, 2, trials=trials, verbose=False)
        with pool:
            fmin(float, CASE, in_order, 2, trials=trials, verbose=False)
        with pytest.raises(PoolClosedError, match="was closed"):
            fmin(float, CASE, in_order, 4, trials=trials, verbose=False)
        assert trials.losses() == [0, 1]

    def test_one_that_was_opened_before(self, spark):
        with WorkerPool(1, spark_session=spark) as pool:
            trials = SparkTrials(pool=pool, tracking=False)
            with pytest.raises(RefusedError, match="pool was opened before: open each pool once"), pool:
                pass
            fmin(float, CASE, in_order, 2, trials=trials, verbose=False)
        before = jobs(spark)
        with pytest.raises(RefusedError, match="pool was opened before: open each pool once"), pool:
            pass
        assert jobs(spark) == before
        assert trials.losses() == [0, 1]


def test_a_loop_of_asyncio_around_it_is_no_trouble(new_trials):
    async def search():
        return fmin(float, CASE, in_order, 1, trials=new_trials(1), verbose=False)

    assert asyncio.run(search()) == {"case": 0}


def test_marked_objectives_take_other_arguments(new_trials):
    marked = hyperopt.fmin_pass_expr_memo_ctrl(lambda expr, memo, ctrl: pyll.rec_eval(expr, memo=memo))
    trials = new_trials(1)
    fmin(marked, CASE, in_order, 2, trials=trials, verbose=False)
    assert trials.losses() == [0, 1]
