"""Everything that the machine can ask of its shell. Commands are carried out in the order given."""

from __future__ import annotations

from dataclasses import dataclass

from sparkopt.core.states import Lease, Outcome, TrialKey


@dataclass(frozen=True, slots=True)
class Assign:
    """Send this attempt to this worker. Said again if a cut may have swallowed it."""

    worker: str
    lease: Lease


@dataclass(frozen=True, slots=True)
class CancelAttempt:
    """Tell this worker to end this attempt at once."""

    worker: str
    lease: Lease
    reason: str


@dataclass(frozen=True, slots=True)
class PruneAttempt:
    """Tell this worker that this attempt is to stop. Said again if a cut may have swallowed it."""

    worker: str
    lease: Lease
    reason: str


@dataclass(frozen=True, slots=True)
class Settle:
    """The trial has its final state; tell its study, with the payload of this attempt if it is OK or FAILED.

    ``attempt`` is 0 and ``worker`` None for a trial that never ran.
    """

    trial: TrialKey
    attempt: int
    outcome: Outcome
    worker: str | None
    reason: str


@dataclass(frozen=True, slots=True)
class DeliverReport:
    """The report with this sequence number is fresh and of a live attempt: hand it on."""

    worker: str
    lease: Lease
    sequence: int


@dataclass(frozen=True, slots=True)
class DeliverRequest:
    """The request with this sequence number is fresh and of a live attempt: hand it on."""

    worker: str
    lease: Lease
    sequence: int


@dataclass(frozen=True, slots=True)
class Expel:
    """Tell this worker to leave; it is gone already as far as the machine is concerned.

    With ``again`` it may come again under another name: it was given up because it could not be reached.
    """

    worker: str
    reason: str
    again: bool = False


@dataclass(frozen=True, slots=True)
class LaunchGang:
    """Launch this gang as this generation: again, or in an elastic pool for the first time too."""

    gang: int
    generation: int
    size: int


@dataclass(frozen=True, slots=True)
class WithdrawGang:
    """Cancel the job of this launch, which is not needed any more, or was given up before it had a worker.

    Its end is told by a GangEnded as ever.
    """

    gang: int
    generation: int


@dataclass(frozen=True, slots=True)
class ShutDown:
    """Nothing more will be leased: the pool is drained, or it has lost its gangs for good."""

    reason: str
    failed: bool


Command = (
    Assign
    | CancelAttempt
    | PruneAttempt
    | Settle
    | DeliverReport
    | DeliverRequest
    | Expel
    | LaunchGang
    | WithdrawGang
    | ShutDown
)
