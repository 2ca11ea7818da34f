"""State of a pool as its machine keeps it, and the questions that others may ask about it.

Nothing here decides anything or changes what is kept: that is :class:`~sparkopt.core.machine.Machine`'s.
"""

from __future__ import annotations

import math
from collections import Counter

from sparkopt.core.fleet import Fleet
from sparkopt.core.gangs import Gangs
from sparkopt.core.losses import Losses
from sparkopt.core.queues import TrialQueues
from sparkopt.core.records import Counts, Elastic, Gang, Policy, Seat, Trial, Worker
from sparkopt.core.staffing import Staffing
from sparkopt.core.states import Outcome, TrialKey, WorkerState
from sparkopt.core.story import Followed, Story


class PoolState:
    """State of a pool. To be looked at only.

    Args:
        limit: how many trials may run at once; :attr:`Policy.cap` bounds it.
        policy: the other limits.
        elastic: those of an elastic pool; None for a pool of barrier jobs.

    Attributes:
        trials: those that have not settled.
        workers: those that are here, and those that are gone as long as their generation lasts.
        gangs: the jobs of the workers.
        queues: trials that wait for a worker.
        idle: workers that wait for a lease, longest idle first, and since when they do.
        losses: those of workers about which Spark may yet speak.
    """

    def __init__(self, limit: int, policy: Policy, elastic: Elastic | None) -> None:
        if limit < 1:
            raise ValueError(f"limit must be at least 1, got {limit}")
        self.policy = policy
        self.elastic = elastic
        self.trials: dict[TrialKey, Trial] = {}
        self.workers: dict[str, Worker] = {}
        self.gangs: Staffing[Gang] | Staffing[Seat] = (
            Gangs(policy) if elastic is None else Fleet(policy, elastic)
        )
        self.losses = Losses(self.trials)
        self.queues = TrialQueues()
        self.idle: dict[str, float] = {}
        self.leased = 0
        self.submitted = 0
        self.settled: Counter[Outcome] = Counter()
        self.lost_attempts = 0
        self.paused = False
        self.all_submitted = False
        self.draining: str | None = None
        self.shut_down = False
        self._limit = limit
        self._deadline = math.inf
        self._story = Story()

    @property
    def limit(self) -> int:
        """Most trials that may run at once, as far as limits go; there may be fewer workers."""
        return min(self._limit, self.policy.cap)

    @property
    def wanted(self) -> int:
        """Number of workers that trials can use now: one for each that has not settled, up to the limit."""
        return 0 if self._is_ending() else min(self.limit, len(self.trials))

    def growth(self, room: int, now: float) -> int:
        """Number of workers that may be added to a pool of barrier jobs, of those that Spark has room for."""
        if self.paused or self._is_ending() or not self.gangs.may_grow(now):
            return 0
        pending = sum(map(len, self.queues.values()))
        return min(room, pending) if self.all_submitted else room

    @property
    def waiting(self) -> int:
        """Number of jobs that Spark was asked for and that have not had a worker yet."""
        return self.gangs.waiting

    @property
    def next_deadline(self) -> float | None:
        """When the next :class:`~sparkopt.core.events.Tick` is due; None if nothing waits for time.

        Never later than the earliest deadline; it may be earlier, and that tick then does nothing.
        """
        workers, gangs = self._deadline, self.gangs.deadline
        deadline = workers if workers < gangs else gangs  # Not min(): the shell asks after every event.
        return deadline if deadline < math.inf else None

    def counts(self) -> Counts:
        """Counts of trials by their states."""
        settled = sum(self.settled.values())
        return Counts(
            submitted=self.submitted,
            pending=self.submitted - settled - self.leased,
            leased=self.leased,
            settled=settled,
            lost_attempts=self.lost_attempts,
        )

    def present(self) -> set[str]:
        """Names of the workers that are not gone."""
        return {name for name, worker in self.workers.items() if worker.state is not WorkerState.GONE}

    def story(self, about: TrialKey | str | None = None) -> list[str]:
        """Record of the last events and commands, a line each: all, or those of a trial or a worker."""
        return self._story.lines(about)

    def follow(self, about: TrialKey | str) -> Followed:
        """The part of the story that explains what became of a trial or a worker, for a person who asks."""
        return self._story.follow(about)

    def _is_ending(self) -> bool:
        """Returns whether nothing more will be leased."""
        return self.shut_down or self.draining is not None

    def _left(self) -> int | None:
        """Number of trials that are left; None as long as more may be submitted."""
        return len(self.trials) if self.all_submitted else None

    def _wake_at(self, deadline: float) -> None:
        self._deadline = min(self._deadline, deadline)
