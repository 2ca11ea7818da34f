"""The tables of transitions: complete, reachable, with no way out of an end, and documented."""

from __future__ import annotations

import ast
import enum
import inspect
import textwrap

import pytest

from sparkopt.core import states
from sparkopt.core.states import (
    GangInput,
    GangState,
    SeatInput,
    SeatState,
    TrialInput,
    TrialState,
    WorkerInput,
    WorkerState,
)
from sparkopt.core.transitions import GANG, SEAT, TRIAL, WORKER, InvalidTransition, move

TABLES = {
    "trial": (TRIAL, TrialState, TrialInput, TrialState.PENDING, {TrialState.SETTLED}),
    "worker": (WORKER, WorkerState, WorkerInput, WorkerState.READY, {WorkerState.GONE}),
    "gang": (GANG, GangState, GangInput, GangState.LAUNCHING, {GangState.CLOSED}),
    "seat": (SEAT, SeatState, SeatInput, SeatState.ASLEEP, {SeatState.CLOSED}),
}
CLASSES = [kind for kind in vars(states).values() if inspect.isclass(kind)]
ENUMS = [kind for kind in CLASSES if issubclass(kind, enum.Enum) and len(kind)]

every_table = pytest.mark.parametrize(
    ("table", "kind", "inputs", "first", "ends"), TABLES.values(), ids=TABLES.keys()
)


def reachable(table, start):
    found, to_see = {start}, [start]
    while to_see:
        state = to_see.pop()
        following = {target for (source, _), target in table.items() if source is state} - found
        found |= following
        to_see.extend(following)
    return found


@every_table
def test_every_state_is_reached_from_the_first(table, kind, inputs, first, ends):
    assert reachable(table, first) == set(kind)


@every_table
def test_the_ends_are_the_states_that_nothing_leaves(table, kind, inputs, first, ends):
    assert set(kind) - {source for source, _ in table} == ends


@every_table
def test_an_end_is_reached_from_every_state(table, kind, inputs, first, ends):
    for state in kind:
        assert reachable(table, state) & ends, state


@every_table
def test_every_input_is_used(table, kind, inputs, first, ends):
    assert {given for _, given in table} == set(inputs)


@every_table
def test_a_pair_moves_as_its_table_says_or_not_at_all(table, kind, inputs, first, ends):
    refused = 0
    for state in kind:
        for given in inputs:
            if (state, given) in table:
                assert move(table, state, given) is table[state, given]
            else:
                refused += 1
                with pytest.raises(InvalidTransition, match=f"{state} has no transition for {given}"):
                    move(table, state, given)
    assert refused == len(kind) * len(inputs) - len(table)


def test_a_worker_that_is_gone_and_a_trial_that_has_settled_have_one_way_in_each():
    assert {given for (_, given), target in TRIAL.items() if target is TrialState.SETTLED} == {
        TrialInput.SETTLE
    }
    assert {given for (_, given), target in WORKER.items() if target is WorkerState.GONE} == {
        WorkerInput.LEAVE
    }


def test_a_trial_that_is_to_end_is_not_tried_again():
    assert {given for source, given in TRIAL if source is TrialState.CANCELLING} == {TrialInput.SETTLE}


@pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)
def test_every_member_is_documented(kind):
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(kind))).body
    documented = [
        line.targets[0].id
        for line, text in zip(body.body, body.body[1:], strict=False)
        if isinstance(line, ast.Assign)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    ]
    assert documented == [member.name for member in kind]


def test_the_enums_are_those_of_the_tables_and_the_outcome():
    assert set(ENUMS) == {kind for _, *kinds, _, _ in TABLES.values() for kind in kinds} | {states.Outcome}
