"""A program does what ``pyll.rec_eval`` does, in the same order."""

from __future__ import annotations

import numpy as np
import pytest
from hyperopt import hp
from hyperopt.pyll import Literal, as_apply, rec_eval, scope

from sparkopt.hyperopt.program import MISSING, Program
from sparkopt.hyperopt.space import parameters_of

called = []


@pytest.fixture(autouse=True)
def noted():
    """A function of hyperopt's scope that notes what it is called with."""

    def noted(*arguments, **named):
        called.append((arguments, named))
        return len(called)

    scope.define(noted)
    yield scope.noted
    scope.undefine(noted)
    called.clear()


def what_happens(evaluate):
    called.clear()
    return evaluate(), list(called)


def test_functions_are_called_in_the_same_order_and_once(noted):
    shared = noted("shared")
    expression = as_apply(
        {"a": [noted("first"), shared, (noted(shared, by=noted("named"), also=noted()),)], "b": shared}
    )
    expected = what_happens(lambda: rec_eval(expression))
    program = Program(expression, [])
    assert what_happens(program) == expected
    assert what_happens(program) == expected
    assert len(expected[1]) == 5


def test_only_the_chosen_branch_of_a_switch_is_evaluated(noted):
    chosen = Literal("chosen")
    expression = scope.switch(chosen, noted("left"), [noted("right")])
    program = Program(expression, [chosen])
    for index in (0, 1):
        expected = what_happens(lambda: rec_eval(expression, memo={chosen: index}))  # noqa: B023
        assert what_happens(lambda: program(index)) == expected  # noqa: B023
        assert len(expected[1]) == 1


@pytest.mark.parametrize("index", [-1, 0.5, "0", 2])
def test_a_switch_refuses_what_hyperopts_refuses(index):
    chosen = Literal("chosen")
    expression = scope.switch(chosen, "left", "right")
    with pytest.raises(Exception) as theirs:  # noqa: PT011
        rec_eval(expression, memo={chosen: index})
    with pytest.raises(theirs.type):
        Program(expression, [chosen])(index)


@pytest.mark.parametrize("index", [True, 1.0, np.float64(1), np.int8(1)])
def test_a_switch_takes_the_numbers_that_hyperopts_takes(index):
    chosen = Literal("chosen")
    expression = scope.switch(chosen, "left", "right")
    try:
        theirs = rec_eval(expression, memo={chosen: index})
    except TypeError:
        with pytest.raises(TypeError):
            Program(expression, [chosen])(index)
    else:
        assert Program(expression, [chosen])(index) == theirs == "right"


def test_an_expression_that_comes_out_of_a_function_is_evaluated_with_what_is_known():
    given = Literal("given")

    def grown(value):
        return scope.pos_args(given, given, value)

    scope.define(grown)
    try:
        assert Program(scope.grown(given), [given])(7) == (7, 7, 7)
    finally:
        scope.undefine(grown)


def test_a_missing_value_is_named_when_it_is_needed():
    rate = hp.uniform("rate", 0, 1)
    ((parameter, _),) = parameters_of(rate)
    chosen = Literal("chosen")
    program = Program(scope.switch(chosen, "constant", [rate]), [chosen, parameter])
    assert program(0, MISSING) == "constant"
    with pytest.raises(LookupError, match="'rate' is needed and has no value"):
        program(1, MISSING)
