"""Points to evaluate first, and documents that wait for a search."""

from __future__ import annotations

import hyperopt
import numpy as np
import pytest
from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_NEW, JOB_STATE_RUNNING

from sparkopt import fmin
from sparkopt.errors import RefusedError
from sparkopt.hyperopt.space import Space
from tests.support.study_tools import CASE, in_order

NESTED = hp.choice("model", [{"a": hp.uniform("a", 0, 1)}, {"b": hp.uniform("b", 0, 1)}])


def test_they_come_first_and_on_top(new_trials):
    trials = new_trials(parallelism=1)
    points = [{"case": 7}, {"case": 5}]
    best = fmin(lambda case: case, CASE, in_order, 2, trials=trials, points_to_evaluate=points, verbose=False)
    assert trials.losses() == [7, 5, 2, 3]
    assert trials.tids == [0, 1, 2, 3]
    assert best == {"case": 2}
    assert [type(value) for value in trials.vals["case"]] == [int] * 4


def test_tpe_goes_on_from_points_of_a_conditional_space(new_trials):
    points = [{"model": 1, "b": 0.5}, {"model": 0, "a": 0.25}, {"model": 0, "a": 0.75}]
    trials = new_trials(parallelism=1)
    best = fmin(
        lambda point: point["a"] if "a" in point else point["b"] + 1,
        NESTED,
        tpe.suggest,
        30,
        trials=trials,
        rstate=np.random.default_rng(3),
        points_to_evaluate=points,
        verbose=False,
    )
    assert trials.losses()[:3] == [1.5, 0.25, 0.75]
    assert trials.trials[0]["misc"]["vals"] == {"model": [1], "a": [], "b": [0.5]}
    assert trials.trials[0]["misc"]["idxs"] == {"model": [0], "a": [], "b": [0]}
    assert len(trials) == 33
    assert best["model"] == 0
    assert trials.argmin == best


def test_points_alone(new_trials):
    trials = new_trials()
    points = [{"case": number} for number in (4, 3, 2, 1)]
    fmin(lambda case: case, CASE, in_order, 0, trials=trials, points_to_evaluate=points, verbose=False)
    assert trials.losses() == [4, 3, 2, 1]


def test_points_of_a_second_search_go_on_counting(new_trials):
    trials = new_trials(parallelism=1)
    fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)
    points = [{"case": 50}]
    fmin(lambda case: case, CASE, in_order, 4, trials=trials, points_to_evaluate=points, verbose=False)
    assert trials.losses() == [0, 1, 50, 3, 4]


def test_a_point_that_is_none_of_the_space_starts_nothing(new_trials):
    trials = new_trials(parallelism=1)
    with pytest.raises(RefusedError, match=r"points_to_evaluate\[1\] is not a point of the space"):
        fmin(
            lambda point: 0.0,
            NESTED,
            tpe.suggest,
            3,
            trials=trials,
            points_to_evaluate=[{"model": 0, "a": 1}, {"model": 1, "a": 1}],
            verbose=False,
        )
    assert trials._dynamic_trials == []


@pytest.mark.parametrize("state", [JOB_STATE_NEW, JOB_STATE_RUNNING])
def test_documents_that_an_earlier_search_left_are_evaluated_first(new_trials, state):
    trials = new_trials(parallelism=1)
    waiting = in_order([0, 1], hyperopt.base.Domain(lambda case: case, CASE), trials, 1)
    for document in waiting:
        document["misc"]["vals"]["case"] = [30 + document["tid"]]
        document.update(state=state, result={"status": "running", "loss": -1.0})
    trials.insert_trial_docs(waiting)
    fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)
    assert trials.losses() == [30, 31, 2]
    assert {document["state"] for document in trials.trials} == {JOB_STATE_DONE}
    assert all(document["book_time"] is not None for document in trials.trials)


def test_those_that_never_came_to_run_are_cancelled_with_the_search(new_trials):
    trials = new_trials(parallelism=1)
    points = [{"case": number} for number in range(5)]

    def stop(trials):
        return True, []

    fmin(
        lambda case: case,
        CASE,
        in_order,
        0,
        trials=trials,
        points_to_evaluate=points,
        early_stop_fn=stop,
        verbose=False,
    )
    assert trials.losses() == [0]
    assert trials.count_cancelled_trials() == 4


DISCRETE = {
    "n": hp.randint("n", 5),
    "kind": hp.pchoice("kind", [(0.5, "a"), (0.5, "b")]),
    "x": hp.uniform("x", 0, 1),
}


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"x": float("nan")}, r"has nan for 'x': it must be a finite number"),
        ({"x": float("-inf")}, r"has -inf for 'x'"),
        ({"x": "0.1"}, r"has '0.1' for 'x'"),
        ({"x": None}, r"has None for 'x'"),
        ({"x": True}, r"has True for 'x'"),
        ({"x": 10**400}, r"has 1000.* for 'x'"),
        ({"x": [0.5]}, r"has \[0.5\] for 'x'"),
        ({"x": 1j}, r"has 1j for 'x'"),
        ({"x": np.timedelta64(1, "s")}, r"has np.timedelta64\(1,'s'\) for 'x'"),
        ({"n": 99}, r"it has 99 for 'n', which must be a whole number from 0 to 4"),
        ({"n": -1}, r"it has -1 for 'n'"),
        ({"n": 1.5}, r"it has 1.5 for 'n'"),
        ({"kind": 2}, r"it has 2 for 'kind', .* from 0 to 1; for hp.choice it is the index of the option"),
        ({"kind": "b"}, r"has 'b' for 'kind': .* index of the option"),
        ({"y": 1}, r"has \['y'\], which the space does not have"),
    ],
)
def test_values_that_no_algorithm_can_learn_from_start_nothing(new_trials, changed, why):
    trials = new_trials(parallelism=1)
    good = {"n": 1, "kind": 0, "x": 0.5}
    with pytest.raises(RefusedError, match=rf"points_to_evaluate\[1\] .*{why}"):
        fmin(
            lambda point: 0.0,
            DISCRETE,
            tpe.suggest,
            3,
            trials=trials,
            points_to_evaluate=[good, {**good, **changed}],
            verbose=False,
        )
    assert trials._dynamic_trials == []


def test_numbers_of_every_kind_are_taken_as_algorithms_need_them(new_trials):
    trials = new_trials(parallelism=1)
    point = {"n": 2.0, "kind": np.int64(1), "x": np.float32(0.5)}
    fmin(
        lambda point: float(point["n"]),
        DISCRETE,
        tpe.suggest,
        25,
        trials=trials,
        points_to_evaluate=[point],
        verbose=False,
    )
    first = trials.trials[0]["misc"]["vals"]
    assert first == {"n": [2], "kind": [1], "x": [0.5]}
    assert [type(first[label][0]) for label in ("n", "kind")] == [int, int]
    assert len(trials) == 26


def test_tpe_goes_on_from_numbers_that_only_python_holds(new_trials):
    trials = new_trials(parallelism=1)
    points = [{"x": 2**100}, {"x": np.longdouble(3)}, {"x": np.float16(0.5)}, {"x": np.uint8(7)}, {"x": 5}]
    fmin(
        lambda x: x,
        hp.lognormal("x", 0, 1),
        tpe.suggest,
        20,
        trials=trials,
        points_to_evaluate=points,
        verbose=False,
    )
    assert trials.losses()[:5] == [2.0**100, 3, 0.5, 7, 5]
    assert {type(value) for value in trials.vals["x"][:5]} == {int, float}
    assert len(trials) == 25


def test_what_the_space_never_proposes_is_warned_of_and_evaluated(new_trials):
    trials = new_trials(parallelism=1)
    points = [{"n": 1, "kind": 0, "x": 5.0}, {"n": 1, "kind": 0, "x": 1.0}, {"n": 1, "kind": 0, "x": -2}]
    with pytest.warns(UserWarning, match=r"\[0\] has 5.0 for 'x', outside of 0 to 1, and 1 more"):
        fmin(
            lambda point: point["x"],
            DISCRETE,
            tpe.suggest,
            22,
            trials=trials,
            points_to_evaluate=points,
            verbose=False,
        )
    assert trials.losses()[:3] == [5.0, 1.0, -2.0]


@pytest.mark.parametrize(
    ("parameter", "refused", "odd", "plain"),
    [
        (hp.randint("x", 3), [3, -1, 0.5], [], [0, 2, 2.0]),
        (hp.randint("x", 2, 5), [1, 5], [], [2, 4]),
        (hp.uniform("x", -1, 1), [], [-1.1, 3], [-1, 1, 0.3]),
        (hp.quniform("x", 0, 10, 4), [], [-3, 12.5, 5], [0, 4, 12]),
        (hp.uniformint("x", 0, 10), [], [2.5, 11], [0, 10]),
        (hp.loguniform("x", -1, 1), [0, -1], [3.0], [1.0, float(np.exp(1)), float(np.exp(-1))]),
        (hp.qloguniform("x", -1, 3, 2), [-2], [3.0, 40], [0, 2, 20]),
        (hp.loguniform("x", -1, 1000), [0], [], [1e300]),
        (hp.normal("x", 0, 1), [], [], [-1e300, 1e300]),
        (hp.qnormal("x", 0, 1, 0.5), [], [0.7], [0.5, 1e9]),
        (hp.lognormal("x", 0, 1), [0, -1], [], [1e300]),
        (hp.uniform("x", 0, 1 + hp.uniform("y", 0, 1)), [], [], [7.0]),
    ],
)
def test_ranges(parameter, refused, odd, plain):
    space = Space(hyperopt.base.Domain(lambda x: x, parameter)).ranges["x"]
    for value in refused:
        with pytest.raises(RefusedError, match="for 'x'"):
            space.number(value)
    for value in odd:
        assert "for 'x'" in space.oddity(space.number(value))
    for value in plain:
        assert space.oddity(space.number(value)) == ""
