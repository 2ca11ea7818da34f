"""Lives of the gangs of a barrier pool: how one is launched, ends, and is launched again or not.

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
    that has no worker when its time to start is over:    given up, its job withdrawn
      so long after its last progress, a task that Spark
      has started or another gang's first worker

The wait doubles with each relaunch without a trial settled. A trial that takes its worker down every time is
charged every time, and so settles as lost: the gang outlives it, and with the gang the trials beside it.

When one is given up and no other goes on, those that sleep are launched again; if none does, the pool is
lost.

The shell adds gangs where Spark has more slots than before, but not while one starts, sleeps or waits for
its relaunch. After one was given up it waits, twice as long after each that was in a row. Trials and workers
are the business of :class:`~sparkopt.core.machine.Machine`, which says what matters of them
and does what follows for them.
"""

from __future__ import annotations

import math
from typing import Final

from sparkopt.core.commands import Command, LaunchGang, WithdrawGang
from sparkopt.core.records import Gang, Policy
from sparkopt.core.staffing import Staffing
from sparkopt.core.states import GangInput, GangState
from sparkopt.core.transitions import GANG, move

_GROWTH_DOUBLINGS: Final = 6
"""Most doublings of the wait before a gang is added after others were given up."""


class Gangs(Staffing[Gang]):
    """The gangs of a pool of barrier jobs.

    Args:
        policy: how long a gang may take to start, and how often and after which wait it is launched again.
    """

    _over = (GangState.DOWN, GangState.CLOSED)

    def __init__(self, policy: Policy) -> None:
        super().__init__(policy)
        self._asleep: dict[int, None] = {}
        self._given_up = 0
        self._grows = -math.inf

    @property
    def waiting(self) -> int:
        """See :attr:`Staffing.waiting`."""
        return sum(gang.state is GangState.LAUNCHING for gang in self._records.values())

    def launched(self, number: int, size: int, now: float) -> None:
        """See :meth:`Staffing.launched`. A gang may be added at any time."""
        if number in self._records:
            raise ValueError(f"gang {number} was launched before")
        self._records[number] = Gang(GangState.LAUNCHING, size, launched=now, progressed=now)
        self._wake_at(now + self._policy.start)

    def may_grow(self, now: float) -> bool:
        """See :meth:`Staffing.may_grow`."""
        at_rest = (GangState.UP, GangState.CLOSED)
        return now >= self._grows and all(gang.state in at_rest for gang in self._records.values())

    def progressed(self, number: int, generation: int, now: float) -> None:
        """See :meth:`Staffing.progressed`."""
        if self.is_current(number, generation):
            self._records[number].progressed = now

    def joined(self, number: int, worker: str, now: float) -> None:
        """See :meth:`Staffing.joined`. Where one can start others can: they get more time."""
        gang = self._records[number]
        if gang.state is GangState.LAUNCHING:
            self._given_up = 0
            for each in self._records.values():
                each.progressed = now
        gang.state = move(GANG, gang.state, GangInput.JOIN)

    def settled(self, number: int, lost: bool) -> None:
        """See :meth:`Staffing.settled`. The next relaunch of the gang is the first in a row.

        With a trial that has settled as lost only the wait begins anew.
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
        """See :meth:`Staffing.ended`."""
        gang = self._records[number]
        if ending:
            gang.state = move(GANG, gang.state, GangInput.CLOSE)
        elif left is not None and not (left and self._is_needed(number, sent_away)):
            gang.state = move(GANG, gang.state, GangInput.END)  # and no relaunch is due
            self._asleep[number] = None
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
            gang.due = now + self._policy.backoff(gang.relaunches)
            self._wake_at(gang.due)
        return None

    def wake(self, now: float, left: int | None, out: list[Command]) -> None:
        """See :meth:`Staffing.wake`."""
        for number in list(self._asleep):
            self._relaunch(number, self._records[number], now, left, out)

    def tick(self, now: float, ending: bool, left: int | None, out: list[Command]) -> str | None:
        """See :meth:`Staffing.tick`. Relaunches gangs after their wait, gives up those that are late."""
        self.deadline = math.inf
        if ending:
            return None  # Nothing more is leased, so no gang is waited for or launched.
        lost, late = None, []
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
                    late.append(WithdrawGang(number, gang.generation))
                else:
                    self._wake_at(deadline)
        if lost is None:  # Else the pool ends, with all of its jobs.
            out.extend(late)
        return lost

    def _is_needed(self, number: int, sent_away: bool) -> bool:
        """Returns whether a gang that ended has to be launched again for the trials that are left."""
        others = [gang for other, gang in self._records.items() if other != number]
        return not (sent_away and any(gang.goes_on for gang in others))

    def _give_up(
        self, gang: Gang, reason: str, now: float, left: int | None, out: list[Command]
    ) -> str | None:
        """This gang is not launched again; the reason comes back if the pool is lost with it."""
        gang.state = move(GANG, gang.state, GangInput.CLOSE)
        self._grows = now + self._policy.start * 2 ** min(self._given_up, _GROWTH_DOUBLINGS)
        self._given_up += 1
        if not any(other.goes_on for other in self._records.values()):
            self.wake(now, left, out)
        lost = all(other.state is GangState.CLOSED for other in self._records.values())
        return reason if lost else None

    def _relaunch(self, number: int, gang: Gang, now: float, left: int | None, out: list[Command]) -> None:
        gang.state = move(GANG, gang.state, GangInput.RELAUNCH)
        self._asleep.pop(number, None)
        gang.generation += 1
        gang.relaunches += 1
        gang.launched = gang.progressed = now
        gang.due = math.inf
        self._wake_at(now + self._policy.start)
        # When nothing more is to come, as many as there are trials are enough.
        size = gang.size if left is None else min(gang.size, max(1, left))
        out.append(LaunchGang(number, gang.generation, size))
