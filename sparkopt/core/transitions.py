"""Transitions of trials, workers, gangs and seats, as tables that read like the documentation.

A pair of state and input that is not in its table cannot happen. If it does, :func:`move` raises: that is a
bug in the machine, and never an answer to bad input. docs/states.md is drawn from these tables by
``scripts/diagrams``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, TypeVar

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

TRIAL: Final[Mapping[tuple[TrialState, TrialInput], TrialState]] = {
    (TrialState.PENDING, TrialInput.LEASE): TrialState.LEASED,
    (TrialState.PENDING, TrialInput.SETTLE): TrialState.SETTLED,
    (TrialState.LEASED, TrialInput.REQUEUE): TrialState.PENDING,
    (TrialState.LEASED, TrialInput.HOLD): TrialState.HELD,
    (TrialState.LEASED, TrialInput.PRUNE): TrialState.PRUNING,
    (TrialState.LEASED, TrialInput.CANCEL): TrialState.CANCELLING,
    (TrialState.LEASED, TrialInput.SETTLE): TrialState.SETTLED,
    (TrialState.HELD, TrialInput.REQUEUE): TrialState.PENDING,
    (TrialState.HELD, TrialInput.SETTLE): TrialState.SETTLED,
    (TrialState.PRUNING, TrialInput.CANCEL): TrialState.CANCELLING,
    (TrialState.PRUNING, TrialInput.SETTLE): TrialState.SETTLED,
    (TrialState.CANCELLING, TrialInput.SETTLE): TrialState.SETTLED,
}

WORKER: Final[Mapping[tuple[WorkerState, WorkerInput], WorkerState]] = {
    (WorkerState.READY, WorkerInput.CUT): WorkerState.UNREACHABLE,
    (WorkerState.READY, WorkerInput.LEAVE): WorkerState.GONE,
    (WorkerState.UNREACHABLE, WorkerInput.RETURN): WorkerState.READY,
    (WorkerState.UNREACHABLE, WorkerInput.LEAVE): WorkerState.GONE,
}

GANG: Final[Mapping[tuple[GangState, GangInput], GangState]] = {
    (GangState.LAUNCHING, GangInput.JOIN): GangState.UP,
    (GangState.LAUNCHING, GangInput.END): GangState.DOWN,
    (GangState.LAUNCHING, GangInput.CLOSE): GangState.CLOSED,
    (GangState.UP, GangInput.JOIN): GangState.UP,
    (GangState.UP, GangInput.END): GangState.DOWN,
    (GangState.UP, GangInput.CLOSE): GangState.CLOSED,
    (GangState.DOWN, GangInput.RELAUNCH): GangState.LAUNCHING,
    (GangState.DOWN, GangInput.CLOSE): GangState.CLOSED,
}

SEAT: Final[Mapping[tuple[SeatState, SeatInput], SeatState]] = {
    (SeatState.ASLEEP, SeatInput.LAUNCH): SeatState.WAITING,
    (SeatState.WAITING, SeatInput.JOIN): SeatState.UP,
    (SeatState.WAITING, SeatInput.WITHDRAW): SeatState.WITHDRAWN,
    (SeatState.WAITING, SeatInput.END): SeatState.ASLEEP,
    (SeatState.WAITING, SeatInput.CLOSE): SeatState.CLOSED,
    (SeatState.UP, SeatInput.JOIN): SeatState.UP,
    (SeatState.UP, SeatInput.LEAVE): SeatState.VACANT,
    (SeatState.VACANT, SeatInput.JOIN): SeatState.UP,
    (SeatState.VACANT, SeatInput.WITHDRAW): SeatState.WITHDRAWN,
    (SeatState.VACANT, SeatInput.END): SeatState.ASLEEP,
    (SeatState.VACANT, SeatInput.CLOSE): SeatState.CLOSED,
    (SeatState.WITHDRAWN, SeatInput.END): SeatState.ASLEEP,
    (SeatState.WITHDRAWN, SeatInput.CLOSE): SeatState.CLOSED,
}


class InvalidTransition(Exception):
    """A pair of state and input that no table has: a bug in the machine."""


StateT = TypeVar("StateT", TrialState, WorkerState, GangState, SeatState)
InputT = TypeVar("InputT", TrialInput, WorkerInput, GangInput, SeatInput)


def move(table: Mapping[tuple[StateT, InputT], StateT], state: StateT, given: InputT) -> StateT:
    """The state that follows.

    Raises:
        InvalidTransition: if the table has no such pair.
    """
    try:
        return table[state, given]
    except KeyError:
        raise InvalidTransition(f"{state} has no transition for {given}") from None
