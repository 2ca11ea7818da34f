"""States of trials, workers, gangs and seats, and their names.

Only states and identities live here. How one state becomes another is in :mod:`sparkopt.core.transitions`.
"""

from __future__ import annotations

import enum
from typing import NamedTuple


class TrialKey(NamedTuple):
    """A trial's name within a pool: its study, and its number within that study."""

    study: str
    tid: int

    def __str__(self) -> str:
        return f"trial {self.tid} of {self.study}"


class Lease(NamedTuple):
    """The promise of one attempt at a trial; attempts count from 1."""

    trial: TrialKey
    attempt: int

    def __str__(self) -> str:
        return f"{self.trial}, attempt {self.attempt}"


class _Member(enum.Enum):
    """A member that is found in a dictionary as fast as any object: the machine does so for every step.

    Members are equal if they are the same; Enum's own hash is that of the name, and calculated in Python.
    """

    __hash__ = object.__hash__


class Outcome(_Member):
    """End of an attempt, and so of a trial that settles with it."""

    OK = "ok"
    """The objective returned a result."""
    FAILED = "failed"
    """The objective raised, or the process that ran it died."""
    PRUNED = "pruned"
    """Its reports showed that it would not win, so it was stopped; or the objective ended it as pruned."""
    CANCELLED = "cancelled"
    """Somebody asked for the trial to end, and it had no result yet."""
    LOST = "lost"
    """The worker was lost, and with it the last of the ``max_attempts`` workers that a trial may lose."""


class TrialState(_Member):
    """State of a trial."""

    PENDING = "pending"
    """Submitted, on no worker."""
    LEASED = "leased"
    """Promised to one worker, which runs it."""
    PRUNING = "pruning"
    """Still leased; its worker has been told to stop it as pruned. It may still end by itself."""
    CANCELLING = "cancelling"
    """Still leased; its worker has been told to end it."""
    HELD = "held"
    """On no worker; it is lost unless Spark soon says that its last worker was preempted."""
    SETTLED = "settled"
    """Has its final state, exactly once."""


class TrialInput(_Member):
    """Input that moves a trial from one state to the next."""

    LEASE = "lease"
    """A worker was free for it."""
    REQUEUE = "requeue"
    """Its worker is gone, and it may run again: it has attempts left, or that worker was preempted."""
    HOLD = "hold"
    """Its worker was lost, it has no attempt left, and it is not known yet why the worker was lost."""
    PRUNE = "prune"
    """Its reports show that it will not win."""
    CANCEL = "cancel"
    """Somebody asked for it to end while it ran."""
    SETTLE = "settle"
    """Its last attempt ended, or it was cancelled before it ran."""


class WorkerState(_Member):
    """State of a worker: whether it can be reached."""

    READY = "ready"
    """Connected; may hold a lease."""
    UNREACHABLE = "unreachable"
    """Its stream was cut or it fell silent; keeps its lease until the grace period ends."""
    GONE = "gone"
    """Lost, expelled or left. Never comes back under this name."""


class WorkerInput(_Member):
    """Input that moves a worker from one state to the next."""

    CUT = "cut"
    """Its stream ended, or no heartbeat came for too long."""
    RETURN = "return"
    """It was heard from again."""
    LEAVE = "leave"
    """Its grace ran out, its task ended, or it was expelled."""


class GangState(_Member):
    """State of a gang: how far its launch has come."""

    LAUNCHING = "launching"
    """Its barrier job was launched; no worker has joined."""
    UP = "up"
    """At least one worker of this generation has joined."""
    DOWN = "down"
    """Its barrier job ended; a relaunch is due."""
    CLOSED = "closed"
    """Ended for good."""


class GangInput(_Member):
    """Input that moves a gang from one state to the next."""

    JOIN = "join"
    """A worker of the current generation joined."""
    END = "end"
    """The barrier job ended though nobody asked for that."""
    RELAUNCH = "relaunch"
    """The wait is over: the job is launched again, as the next generation."""
    CLOSE = "close"
    """The pool ends, or it has given this gang up."""


class SeatState(_Member):
    """State of a seat, the place of one worker in an elastic pool: its job and its worker."""

    ASLEEP = "asleep"
    """Has no job; is launched when one more worker is wanted."""
    WAITING = "waiting"
    """Its job was launched; no worker has joined."""
    UP = "up"
    """Its worker is there, whether or not it can be reached."""
    VACANT = "vacant"
    """Its worker is gone and its job has not ended: Spark may start the task again."""
    WITHDRAWN = "withdrawn"
    """Its job is being cancelled; a worker that comes all the same is expelled."""
    CLOSED = "closed"
    """Ended for good, with the pool."""


class SeatInput(_Member):
    """Input that moves a seat from one state to the next."""

    LAUNCH = "launch"
    """One more worker is wanted: its job is launched, as the next generation."""
    JOIN = "join"
    """Its worker joined, for the first time, again, or in the place of one that is gone."""
    LEAVE = "leave"
    """Its worker was lost, or left because it was told to."""
    WITHDRAW = "withdraw"
    """Its job has no worker and is not needed any more."""
    END = "end"
    """Its job ended."""
    CLOSE = "close"
    """Its job ended, and so does the pool."""
