"""The lives of gangs: how one is launched, ends, and is launched again or not.

    a gang                                                is then
    ───────────────────────────────────────────────────   ──────────────────────────────────────────────────
    that ends while the pool is ending                    closed
    that ends when it is not needed for what is left      asleep: launched again at once when it is needed
    whose first launch ends without a worker              given up
    that ends with a worker that ran a trial,             launched again after a wait
      which is charged for it, or was preempted
    that ends otherwise, and has done so                  given up
      ``max_relaunches`` times, and no trial has
      settled meanwhile
    that ends otherwise                                   launched again after a wait
    that has no worker when its time to start is over:    given up
      so long after its last progress, a task that Spark
      has started or another gang's first worker

The wait doubles with each relaunch without a trial settled. A trial that takes its worker down every time is
charged every time, and so settles as lost: the gang outlives it, and with the gang the trials beside it.

When one is given up and no other goes on, those that sleep are launched again; if none does, the pool is
lost. Trials and workers are the business of :class:`~sparkopt.core.machine.Machine`, which says what
matters of them and does what follows for them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Final

from sparkopt.core.commands import Command, LaunchGang
from sparkopt.core.records import Gang, Policy
from sparkopt.core.states import GangInput, GangState
from sparkopt.core.transitions import GANG, move

_DOUBLINGS: Final = 30
"""Most doublings of the wait before a relaunch. Every limit on that wait is reached with fewer."""


class Gangs(Mapping[int, Gang]):
    """The gangs of a pool: a mapping of their numbers to records, which is to be looked at only.

    Methods are told how many trials are ``left``, that is, have not settled; None as long as more may be
    submitted. They append relaunches to ``out``.

    Args:
        policy: how long a gang may take to start, and how often and after which wait it is launched again.

    Attributes:
        deadline: when the next :meth:`tick` is due, infinite if no gang waits for time. Never later than the
            earliest deadline; it may be earlier.
    """

    def __init__(self, policy: Policy) -> None:
        self.deadline = math.inf
        self._policy = policy
        self._records: dict[int, Gang] = {}

    def __getitem__(self, number: int) -> Gang:
        return self._records[number]

    def __iter__(self) -> Iterator[int]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def launched(self, number: int, size: int, now: float) -> None:
        """The barrier job of a gang of so many workers was asked for.

        Raises:
            ValueError: if it was before.
        """
        if number in self._records:
            raise ValueError(f"gang {number} was launched before")
        self._records[number] = Gang(GangState.LAUNCHING, size, launched=now, progressed=now)
        self._wake_at(now + self._policy.start)

    def is_current(self, number: int, generation: int) -> bool:
        """Tell if this generation of a gang was launched last and has not ended.

        Raises:
            ValueError: if the gang was never launched.
        """
        gang = self._records.get(number)
        if gang is None:
            raise ValueError(f"gang {number} was never launched")
        return generation == gang.generation and gang.state not in (GangState.DOWN, GangState.CLOSED)

    def refusal(self, number: int, generation: int) -> str | None:
        """Reason for which a worker of this gang and generation may not join; None if it may."""
        gang = self._records.get(number)
        if gang is None or gang.state is GangState.CLOSED:
            return "the pool is closed"
        if not self.is_current(number, generation):
            return f"generation {generation} of gang {number} has ended"
        return None

    def progressed(self, number: int, generation: int, now: float) -> None:
        """Spark has started more of a gang's tasks.

        Raises:
            ValueError: if the gang was never launched.
        """
        if self.is_current(number, generation):
            self._records[number].progressed = now

    def joined(self, number: int, now: float) -> None:
        """A worker that was not refused has joined. Where one can start others can: they get more time."""
        gang = self._records[number]
        if gang.state is GangState.LAUNCHING:
            for each in self._records.values():
                each.progressed = now
        gang.state = move(GANG, gang.state, GangInput.JOIN)

    def settled(self, number: int, lost: bool) -> None:
        """A worker has settled a trial: the next relaunch of its gang is the first in a row.

        Args:
            number: the gang's.
            lost: whether the trial has settled as lost, with which only the wait begins anew.
        """
        gang = self._records[number]
        gang.relaunches = 0
        if not lost:
            gang.unexplained = 0

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
        """The current generation of a gang ended.

        Args:
            number: the gang's.
            reason: why it ended.
            now: when.
            ending: whether the pool drains or has shut down.
            left: how many trials are left.
            sent_away: whether all of its workers had been told to leave.
            explained: whether it was preempted, or a trial is charged with the loss of the worker that has
                ended it.
            out: takes the relaunches.

        Returns:
            Why the pool is lost, if it is.
        """
        gang = self._records[number]
        if ending:
            gang.state = move(GANG, gang.state, GangInput.CLOSE)
        elif left is not None and not (left and self._is_needed(number, sent_away)):
            gang.state = move(GANG, gang.state, GangInput.END)  # and no relaunch is due
        elif gang.state is GangState.LAUNCHING and gang.generation == 1 and not explained:
            # What has never worked is a mistake to be told at once, not a fault to be sat out.
            return self._give_up(gang, reason, now, left, out)
        elif not explained and gang.unexplained >= self._policy.max_relaunches:
            times = gang.unexplained + 1
            reason = f"{reason} (it ended {times} times in a row, for no fault of a trial, with none settled)"
            return self._give_up(gang, reason, now, left, out)
        else:
            gang.state = move(GANG, gang.state, GangInput.END)
            gang.unexplained += not explained
            backoff = self._policy.relaunch_backoff * 2 ** min(gang.relaunches, _DOUBLINGS)
            gang.due = now + min(backoff, self._policy.relaunch_backoff_limit)
            self._wake_at(gang.due)
        return None

    def wake(self, now: float, left: int | None, out: list[Command]) -> None:
        """Launch those again that sleep."""
        for number, gang in self._records.items():
            if gang.sleeps:
                self._relaunch(number, gang, now, left, out)

    def tick(self, now: float, ending: bool, left: int | None, out: list[Command]) -> str | None:
        """Launch those again whose wait is over, and give those up that have not started in time.

        Returns:
            Why the pool is lost, if it is.
        """
        self.deadline = math.inf
        if ending:
            return None  # Nothing more is leased, so no gang is waited for or launched.
        lost = None
        for number, gang in self._records.items():
            if gang.state is GangState.DOWN:
                if now >= gang.due:
                    self._relaunch(number, gang, now, left, out)
                else:
                    self._wake_at(gang.due)
            elif gang.state is GangState.LAUNCHING:
                deadline = gang.start_deadline(self._policy)
                if now >= deadline:
                    waited = now - gang.launched
                    lost = self._give_up(gang, f"no worker came up within {waited:.0f} s", now, left, out)
                else:
                    self._wake_at(deadline)
        return lost

    def _is_needed(self, number: int, sent_away: bool) -> bool:
        """Tell if a gang that ended has to be launched again for the trials that are left."""
        others = [gang for other, gang in self._records.items() if other != number]
        return not (sent_away and any(gang.goes_on for gang in others))

    def _give_up(
        self, gang: Gang, reason: str, now: float, left: int | None, out: list[Command]
    ) -> str | None:
        """This gang is not launched again; the reason comes back if the pool is lost with it."""
        gang.state = move(GANG, gang.state, GangInput.CLOSE)
        if not any(other.goes_on for other in self._records.values()):
            self.wake(now, left, out)
        lost = all(other.state is GangState.CLOSED for other in self._records.values())
        return reason if lost else None

    def _relaunch(self, number: int, gang: Gang, now: float, left: int | None, out: list[Command]) -> None:
        gang.state = move(GANG, gang.state, GangInput.RELAUNCH)
        gang.generation += 1
        gang.relaunches += 1
        gang.launched = gang.progressed = now
        gang.due = math.inf
        self._wake_at(now + self._policy.start)
        # When nothing more is to come, as many as there are trials are enough.
        size = gang.size if left is None else min(gang.size, max(1, left))
        out.append(LaunchGang(number, gang.generation, size))

    def _wake_at(self, deadline: float) -> None:
        self.deadline = min(self.deadline, deadline)
