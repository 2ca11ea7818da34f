"""Lives of the seats of an elastic pool: each has a job of one worker, which comes and goes as it is needed.

After every event the machine says how many workers are wanted: as many as trials have not settled, up to the
limit. Those count that are here to stay, and the launches that wait for Spark to give them a place.

    there are                                             then
    ───────────────────────────────────────────────────   ──────────────────────────────────────────────────
    too few                                               seats are launched: at once, or after a failure
                                                          when the wait is over
    too many launches, for a while                        the last ones are withdrawn
    too many workers                                      each leaves when it was idle for a while; this is
                                                          the machine's business

    a job that ends                                       is
    ───────────────────────────────────────────────────   ──────────────────────────────────────────────────
    that was withdrawn, preempted, or whose worker was    no failure
      sent away or ran a trial, which is charged for it
    that nobody needs                                     no failure
    otherwise, before any worker ever joined the pool     the end of the pool
    otherwise                                             a failure, after which launches wait

The wait doubles with each failure in a row, that is, without a trial settled. Launches that fail together
count once. The pool is lost when there were more than ``max_relaunches`` failures in a row and no worker is
left. It is lost as well when it had none for its time to start: so long after the last progress, which is a
task that Spark has started. As long as there is a worker, launches wait without a limit.

A job whose worker is gone ends by itself, or Spark starts its task again. Until then it counts for nothing:
another seat is launched if a worker is wanted, and whoever comes first is taken. In the end it is withdrawn.

Everything here takes constant time for each job concerned.
"""

from __future__ import annotations

import math
from typing import Final

from sparkopt.core.commands import Command, LaunchGang, WithdrawGang
from sparkopt.core.records import Elastic, Policy, Seat
from sparkopt.core.staffing import Staffing
from sparkopt.core.states import SeatInput, SeatState
from sparkopt.core.transitions import SEAT, move

UNNEEDED: Final = "no trial needs it any more"
"""The reason that a worker is told which comes too late."""


class Fleet(Staffing[Seat]):
    """The seats of an elastic pool.

    Args:
        policy: how long the pool may be without a worker, and how many failures it outlives.
        elastic: how long what is not needed is kept.

    Attributes:
        resumes: when launches that wait after a failure are made.
    """

    _over = (SeatState.ASLEEP, SeatState.CLOSED)

    def __init__(self, policy: Policy, elastic: Elastic) -> None:
        super().__init__(policy)
        self.resumes = -math.inf
        self._elastic = elastic
        self._asleep: list[int] = []
        self._waiting: dict[int, None] = {}
        self._lost: dict[int, float] = {}
        self._leaving: dict[int, float] = {}
        self._wanted = 0
        self._here = 0
        self._staying = 0
        self._any_joined = False
        self._failures = 0
        self._failed = -math.inf
        self._surplus = 0
        self._surplus_since = self._alone_since = math.inf
        self._progressed = 0.0

    @property
    def waiting(self) -> int:
        """See :attr:`Staffing.waiting`."""
        return len(self._waiting)

    def launched(self, number: int, size: int, now: float) -> None:
        """See :meth:`Staffing.launched`. It is this class that launches.

        Raises:
            ValueError: in any case.
        """
        raise ValueError(f"gang {number} was launched, and an elastic pool says by itself what to launch")

    def refusal(self, number: int, generation: int) -> str | None:
        """See :meth:`Staffing.refusal`. The worker of a launch that was withdrawn comes too late."""
        refusal = super().refusal(number, generation)
        if refusal is None and self._records[number].state is SeatState.WITHDRAWN:
            return UNNEEDED
        return refusal

    def objection(self, number: int, worker: str) -> str | None:
        """See :meth:`Staffing.objection`. Another start of a task is taken if a worker is wanted."""
        seat = self._records[number]
        if seat.state is SeatState.UP and seat.worker != worker:
            return f"{seat.worker} has its place"
        if seat.state is SeatState.VACANT and self._staying >= self._wanted:
            return UNNEEDED
        return None

    def progressed(self, number: int, generation: int, now: float) -> None:
        """See :meth:`Staffing.progressed`."""
        if self.is_current(number, generation):
            self._progressed = now

    def joined(self, number: int, worker: str, now: float) -> None:
        """See :meth:`Staffing.joined`."""
        seat = self._records[number]
        if seat.state is not SeatState.UP:
            self._forget(number)
            seat.worker, seat.draining, seat.sent_away = worker, False, False
            self._here += 1
            self._staying += 1
            self._any_joined = True
        seat.state = move(SEAT, seat.state, SeatInput.JOIN)

    def drains(self, number: int, worker: str) -> None:
        """See :meth:`Staffing.drains`. Another one may come for it at once."""
        seat = self._records[number]
        if not seat.draining:
            seat.draining = True
            self._staying -= 1

    def left(self, number: int, worker: str, sent_away: bool, now: float) -> None:
        """See :meth:`Staffing.left`."""
        seat = self._records[number]
        seat.state = move(SEAT, seat.state, SeatInput.LEAVE)
        seat.sent_away = sent_away
        self._here -= 1
        self._staying -= not seat.draining
        if sent_away:
            due = self._leaving[number] = now + self._policy.grace
        else:
            due = self._lost[number] = now + self._elastic.cause_wait
        self._wake_at(due)

    def settled(self, number: int, lost: bool) -> None:
        """See :meth:`Staffing.settled`. The next failure is the first in a row, unless the trial was lost."""
        if not lost:
            self._failures = 0

    def explains(self, number: int) -> str | None:
        """See :meth:`Staffing.explains`. The end of a job that was withdrawn explains nothing."""
        seat = self._records[number]
        return None if seat.state is SeatState.WITHDRAWN else seat.worker

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
        seat = self._records[number]
        failed = not (explained or seat.sent_away or seat.state is SeatState.WITHDRAWN)
        self._forget(number)
        if ending:
            seat.state = move(SEAT, seat.state, SeatInput.CLOSE)
            return None
        seat.state = move(SEAT, seat.state, SeatInput.END)
        self._asleep.append(number)
        return self._fail(seat, reason, now) if failed and self._wanted else None

    def staff(self, wanted: int, now: float, launches: bool, at_once: bool, out: list[Command]) -> None:
        """See :meth:`Staffing.staff`."""
        self._wanted = wanted
        missing = wanted - self._staying - len(self._waiting)
        if missing > 0 and launches:
            if now < self.resumes:
                self._wake_at(self.resumes)
            else:
                for _ in range(missing):
                    self._launch(now, out)
        surplus = min(-missing, len(self._waiting))
        if at_once:
            self._withdraw_last(surplus, out)
            while self._lost and not wanted:
                self._withdraw(next(iter(self._lost)), out)
        else:
            self._watch_surplus(surplus, now)
        self._watch_start(launches and wanted > 0 and not self._here, now)

    def wake(self, now: float, left: int | None, out: list[Command]) -> None:
        """See :meth:`Staffing.wake`. What is missing is launched by :meth:`staff`."""

    def tick(self, now: float, ending: bool, left: int | None, out: list[Command]) -> str | None:
        """See :meth:`Staffing.tick`. Withdraws what was not needed for so long."""
        self.deadline = math.inf
        for vacant in (self._lost, self._leaving):
            while vacant:
                number, due = next(iter(vacant.items()))
                if now < due:
                    self._wake_at(due)
                    break
                self._withdraw(number, out)
        if now >= self._surplus_since + self._elastic.surplus:
            self._withdraw_last(self._surplus, out)
            self._surplus_since = math.inf
        self._wake_at(self._surplus_since + self._elastic.surplus)
        deadline = self._start_deadline()
        if now >= deadline:
            return f"no worker came up within {now - self._alone_since:.0f} s"
        self._wake_at(deadline)
        return None

    def _launch(self, now: float, out: list[Command]) -> None:
        if self._asleep:
            number = self._asleep.pop()
        else:
            number = len(self._records)
            self._records[number] = Seat()
        seat = self._records[number]
        seat.state = move(SEAT, seat.state, SeatInput.LAUNCH)
        seat.generation += 1
        seat.launched = now
        seat.worker, seat.draining, seat.sent_away = None, False, False
        if not self._waiting:
            self._progressed = now
            self._wake_at(now + self._policy.start)
        self._waiting[number] = None
        out.append(LaunchGang(number, seat.generation, 1))

    def _withdraw(self, number: int, out: list[Command]) -> None:
        seat = self._records[number]
        seat.state = move(SEAT, seat.state, SeatInput.WITHDRAW)
        self._forget(number)
        out.append(WithdrawGang(number, seat.generation))

    def _withdraw_last(self, surplus: int, out: list[Command]) -> None:
        """Withdraw ``surplus`` waiting launches, the last ones first: Spark starts the others before them."""
        for _ in range(min(surplus, len(self._waiting))):
            self._withdraw(next(reversed(self._waiting)), out)

    def _forget(self, number: int) -> None:
        """A seat's job does not wait for a worker any more, be it the first one or another."""
        for place in (self._waiting, self._lost, self._leaving):
            place.pop(number, None)

    def _watch_surplus(self, surplus: int, now: float) -> None:
        """Note how many launches were not needed for how long: the fewest that there were all that time."""
        if surplus <= 0:
            self._surplus_since = math.inf
        elif math.isinf(self._surplus_since):
            self._surplus, self._surplus_since = surplus, now
            self._wake_at(now + self._elastic.surplus)
        else:
            self._surplus = min(self._surplus, surplus)

    def _watch_start(self, alone: bool, now: float) -> None:
        """Note since when workers are wanted and none is here."""
        if not alone:
            self._alone_since = math.inf
        elif math.isinf(self._alone_since):
            self._alone_since = self._progressed = now
            self._wake_at(now + self._policy.start)

    def _start_deadline(self) -> float:
        """Time at which the pool is lost if no worker is here by then."""
        if math.isinf(self._alone_since) or not self._waiting:
            return math.inf  # A launch that is still to come, after a failure, is progress.
        start = self._policy.start
        return min(self._progressed + start, self._alone_since + self._policy.start_limit * start)

    def _fail(self, seat: Seat, reason: str, now: float) -> str | None:
        """A job has failed; the reason comes back if the pool is lost with it."""
        if not self._any_joined:
            return reason  # What has never worked is a mistake to be told at once, not a fault to be sat out.
        if seat.launched >= self._failed:
            self.resumes = now + self._policy.backoff(self._failures)
            self._failures += 1
            self._failed = now
        if self._failures > self._policy.max_relaunches and not self._here:
            return f"{reason} (workers failed {self._failures} times in a row, with no trial settled)"
        return None
