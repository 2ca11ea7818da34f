"""Interface between the machine and the two ways to staff a pool with workers.

    Machine ──▶ Staffing ◀── Gangs   barrier jobs of a fixed size, launched by the shell for the first time
                         ◀── Fleet   a job for each worker, launched and withdrawn as it is wanted

The machine decides over trials and workers. It tells its staffing what of that matters for jobs, and carries
out what follows: a staffing appends :class:`~sparkopt.core.commands.LaunchGang` and
:class:`~sparkopt.core.commands.WithdrawGang` to ``out``, and says when the pool is lost.
"""

from __future__ import annotations

import abc
import math
from collections.abc import Collection, Iterator, Mapping
from typing import TypeVar

from sparkopt.core.commands import Command
from sparkopt.core.records import Gang, Policy, Seat
from sparkopt.core.states import GangState, SeatState

RecordT_co = TypeVar("RecordT_co", bound=Gang | Seat, covariant=True)


class Staffing(Mapping[int, RecordT_co]):
    """Jobs of a pool's workers: a mapping of their numbers to records, which is to be looked at only.

    Args:
        policy: how patient it is.

    Attributes:
        deadline: when the next :meth:`tick` is due, infinite if nothing waits for time. Never later than the
            earliest deadline; it may be earlier.
    """

    _over: Collection[GangState | SeatState]
    """The states of jobs that have ended."""

    def __init__(self, policy: Policy) -> None:
        self.deadline = math.inf
        self._policy = policy
        self._records: dict[int, RecordT_co] = {}

    def __getitem__(self, number: int) -> RecordT_co:
        return self._records[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    @property
    @abc.abstractmethod
    def waiting(self) -> int:
        """Number of jobs that wait for their first worker."""

    @abc.abstractmethod
    def launched(self, number: int, size: int, now: float) -> None:
        """The shell has asked for a job of ``size`` workers.

        Raises:
            ValueError: if it did before, or has no business to.
        """

    def may_grow(self, now: float) -> bool:
        """Returns whether the shell may add a job of more workers now; False where each has its own."""
        return False

    def is_current(self, number: int, generation: int) -> bool:
        """Returns whether this generation of a job was launched last and has not ended.

        Raises:
            ValueError: if the job was never launched.
        """
        record = self._records.get(number)
        if record is None:
            raise ValueError(f"gang {number} was never launched")
        return generation == record.generation and record.state not in self._over

    def refusal(self, number: int, generation: int) -> str | None:
        """Reason for which no worker of this job and generation may join; None if one may."""
        record = self._records.get(number)
        if record is None or record.state in (GangState.CLOSED, SeatState.CLOSED):
            return "the pool is closed"
        if not self.is_current(number, generation):
            return f"generation {generation} of gang {number} has ended"
        return None

    def objection(self, number: int, worker: str) -> str | None:
        """Reason for which this one may not join, of a job whose workers are not refused; None if it may."""
        return None

    @abc.abstractmethod
    def progressed(self, number: int, generation: int, now: float) -> None:
        """Spark has started more of a job's tasks.

        Raises:
            ValueError: if the job was never launched.
        """

    @abc.abstractmethod
    def joined(self, number: int, worker: str, now: float) -> None:
        """A worker that may join has joined, for the first time or again."""

    def drains(self, number: int, worker: str) -> None:
        """A worker is to leave once it is free."""

    def left(self, number: int, worker: str, sent_away: bool, now: float) -> None:
        """A worker that had joined is gone, because it was told to leave or because it was lost."""

    @abc.abstractmethod
    def settled(self, number: int, lost: bool) -> None:
        """A worker has settled a trial.

        Args:
            number: its job's.
            lost: whether the trial has settled as lost.
        """

    def explains(self, number: int) -> str | None:
        """Return the last worker of a job if its end, when preempted, says why that one was lost before."""
        return None

    @abc.abstractmethod
    def ended(
        self,
        number: int,
        reason: str,
        now: float,
        ending: bool,
        left: int | None,
        sent_away: bool,
        explained: bool,
        out: list[Command],
    ) -> str | None:
        """The current generation of a job ended. Its workers have left before.

        Args:
            number: the job's.
            reason: why it ended.
            now: when.
            ending: whether the pool drains or has shut down.
            left: how many trials have not settled; None as long as more may be submitted.
            sent_away: whether all of its workers had been told to leave.
            explained: whether it was preempted, or a trial is charged with the loss of the worker that has
                ended it.
            out: takes the commands.

        Returns:
            Why the pool is lost, if it is.
        """

    def staff(self, wanted: int, now: float, launches: bool, at_once: bool, out: list[Command]) -> None:
        """Launch and withdraw jobs, so that there are as many workers as are wanted. Said after every event.

        Args:
            wanted: how many.
            now: when.
            launches: whether new jobs may be launched.
            at_once: whether launches that are not needed are withdrawn at once, because none of them can be
                needed a moment later.
            out: takes the commands.
        """

    @abc.abstractmethod
    def wake(self, now: float, left: int | None, out: list[Command]) -> None:
        """Launch those jobs again that sleep: trials have come."""

    @abc.abstractmethod
    def tick(self, now: float, ending: bool, left: int | None, out: list[Command]) -> str | None:
        """Do what is due.

        Returns:
            Why the pool is lost, if it is.
        """

    def _wake_at(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
