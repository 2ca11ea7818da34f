"""WorkerPool.open_evaluation on Spark: what it refuses, and points of a hyperopt space."""

from __future__ import annotations

import json
import math
import sys
import threading

import grpc
import pytest
from hyperopt import hp
from hyperopt.pyll import scope

from sparkopt import WorkerPool, fmin
from sparkopt.errors import (
    MissingModuleError,
    NotPicklableError,
    PoolClosedError,
    RefusedError,
    SparkInObjectiveError,
    UnsupportedArgumentError,
)
from sparkopt.wire.limits import channel_options
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc
from tests.support.beside import objective_beside
from tests.support.post import SECONDS


@pytest.fixture
def pool(spark):
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        yield pool


def asked(pool, evaluation, *points):
    """What became of points, in the order in which they were asked."""
    requests = [
        control_pb2.EvaluateRequest(
            id=str(number),
            point=control_pb2.Point(json=json.dumps(point).replace("Infinity", "1e999")),
            study=evaluation.name,
        )
        for number, point in enumerate(points)
    ]
    with grpc.insecure_channel(pool.control_address, channel_options()) as channel:
        stub = control_pb2_grpc.ControlServiceStub(channel)
        call = stub.Evaluate(iter(requests), metadata=bearer(pool.control_token), timeout=2 * SECONDS)
        return sorted(call, key=lambda answer: int(answer.id))


SPACE = {
    "x": hp.uniform("x", 0, 1),
    "n": scope.int(hp.quniform("n", 1, 10, 1)),
    "kind": hp.choice("kind", ["plain", {"depth": hp.randint("depth", 5)}]),
}


def test_points_of_a_space_become_what_fmin_makes_of_them(pool):
    with pool.open_evaluation(lambda point: [point, type(point["n"]).__name__], SPACE) as evaluation:
        first, second = asked(
            pool, evaluation, {"x": 0.5, "n": 3, "kind": 0}, {"x": 1, "n": 2.0, "kind": 1, "depth": 4}
        )
        assert json.loads(first.evaluation.result) == [{"kind": "plain", "n": 3, "x": 0.5}, "int"]
        assert json.loads(second.evaluation.result)[0] == {"kind": {"depth": 4}, "n": 2, "x": 1}
        assert first.evaluation.trial.values["kind"] == 0


NO_POINTS = [
    ({"x": 0.5, "n": 3}, "'kind'"),
    ({"x": 0.5, "n": 3, "kind": 1}, "'depth'"),
    ({"x": 0.5, "n": 3, "kind": 0, "z": 1}, "['z']"),
    ({"x": 0.5, "n": 3, "kind": 2}, "whole number from 0 to 1"),
    ({"x": 0.5, "n": 3, "kind": -1}, "it has -1 for 'kind'"),
    ({"x": 0.5, "n": 3, "kind": 0.5}, "the index of the option"),
    ({"x": "0.5", "n": 3, "kind": 0}, "'0.5' for 'x'"),
    ({"x": True, "n": 3, "kind": 0}, "True for 'x'"),
    ({"x": None, "n": 3, "kind": 0}, "None for 'x'"),
    ({"x": [1], "n": 3, "kind": 0}, "[1] for 'x'"),
    ({"x": {"y": 1}, "n": 3, "kind": 0}, "for 'x'"),
    ({"x": 10**400, "n": 10**400, "kind": 0}, "must be a finite number"),
    ({"x": math.inf, "n": 3, "kind": 0}, "finite"),
]


def test_what_is_no_point_of_the_space_is_rejected_with_the_reason(pool):
    with pool.open_evaluation(lambda point: 0.0, SPACE) as evaluation:
        answers = asked(pool, evaluation, *(point for point, _ in NO_POINTS))
    for answer, (_, said) in zip(answers, NO_POINTS, strict=True):
        assert answer.rejected.reason == "BAD_POINT"
        assert said in answer.rejected.message


def test_broadcasts_come_with_the_objective(pool, spark):
    broadcast = spark.sparkContext.broadcast({"offset": 100})
    with pool.open_evaluation(lambda point: point["x"] + broadcast.value["offset"]) as evaluation:
        (answer,) = asked(pool, evaluation, {"x": 1})
    assert answer.evaluation.result == "101"


def test_an_evaluation_and_a_search_share_a_pool(pool):
    from sparkopt import SparkTrials

    with pool.open_evaluation(lambda point: point["x"]) as evaluation:
        trials = SparkTrials(pool=pool)
        fmin(lambda x: x**2, hp.uniform("x", 0, 1), max_evals=3, trials=trials, verbose=False)
        (answer,) = asked(pool, evaluation, {"x": 1})
    assert answer.evaluation.result == "1"
    assert len(trials) == 3


def test_a_pool_without_control_refuses(spark):
    with pytest.raises(RefusedError, match="control=True"):
        WorkerPool(1, spark_session=spark).open_evaluation(lambda point: 0.0)


def test_a_pool_that_is_not_open_refuses(spark):
    with pytest.raises(PoolClosedError, match="with WorkerPool"):
        WorkerPool(1, spark_session=spark, control=True).open_evaluation(lambda point: 0.0)


def test_what_makes_no_sense_is_refused(pool, spark):
    lock = threading.Lock()
    refused = [
        (RefusedError, "callable", {"fn": 3}),
        (RefusedError, "trial_timeout", {"fn": len, "trial_timeout": 0}),
        (RefusedError, "max_attempts", {"fn": len, "max_attempts": 0}),
        (RefusedError, "name must be", {"fn": len, "name": "two words"}),
        (RefusedError, "name must be", {"fn": len, "name": ""}),
        (NotPicklableError, "lock", {"fn": lambda point: lock}),
        (SparkInObjectiveError, "SparkSession", {"fn": lambda point: spark.range(3)}),
        (NotPicklableError, "'kind'", {"fn": len, "space": hp.choice("kind", [lock, 1])}),
    ]
    for kind, said, arguments in refused:
        with pytest.raises(kind, match=said):
            pool.open_evaluation(**arguments)


def test_an_objective_that_asks_for_a_ctrl_is_refused(pool):
    from hyperopt import fmin_pass_expr_memo_ctrl

    @fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        return 0.0

    with pytest.raises(UnsupportedArgumentError, match="Ctrl"):
        pool.open_evaluation(objective, SPACE)


def test_a_name_is_taken_once(pool):
    with pool.open_evaluation(lambda point: 1.0, name="mine") as evaluation:
        assert evaluation.name == "mine"
        assert asked(pool, evaluation, {})[0].evaluation.trial.study == "mine"
    with pytest.raises(RefusedError, match="'mine'"):
        pool.open_evaluation(lambda point: 1.0, name="mine")
    number = int(pool.open_evaluation(lambda point: 1.0).name.removeprefix("study"))
    pool.open_evaluation(lambda point: 1.0, name=f"study{number + 1}").close()
    assert pool.open_evaluation(lambda point: 1.0).name == f"study{number + 2}"


@pytest.fixture
def beside(tmp_path, monkeypatch):
    """An objective in a package that workers have not."""
    monkeypatch.syspath_prepend(str(tmp_path))
    yield objective_beside(tmp_path)
    for name in [*sys.modules]:
        if name.startswith("beside_the_script"):
            monkeypatch.delitem(sys.modules, name)


def test_an_objective_brings_the_modules_that_it_imports(pool, beside):
    with pool.open_evaluation(beside, hp.uniform("x", 0, 10)) as evaluation:
        (answer,) = asked(pool, evaluation, {"x": 3})
        assert json.loads(answer.evaluation.result)["loss"] == 9


def test_an_evaluation_ends_with_the_first_trial_that_lacks_a_module(pool, beside):
    with pool.open_evaluation(beside, hp.uniform("x", 0, 10), ship_modules=False) as evaluation:
        (answer,) = asked(pool, evaluation, {"x": 3})
        assert "No module named 'beside_the_script'" in answer.evaluation.failure.message
        with pytest.raises(MissingModuleError, match="beside_the_script"):
            evaluation.wait(SECONDS)
        with pytest.raises(grpc.RpcError, match="beside_the_script"):
            asked(pool, evaluation, {"x": 4})
