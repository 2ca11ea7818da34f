"""Records that the machine keeps: its limits, and one for each trial, worker, gang and seat."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from sparkopt.core.states import GangState, Lease, Outcome, SeatState, TrialState, WorkerState

_DOUBLINGS: Final = 30
"""Most doublings of the wait before a relaunch. Every limit on that wait is reached with fewer."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The limits that a machine keeps. Times are in seconds.

    Attributes:
        cap: how many trials may run at once whatever the parallelism.
        silence: a worker that was not heard of for so long is unreachable.
        grace: a worker that was unreachable for so long, counted from when it was last heard of, is lost.
        start: a gang that has no worker yet, and has made no progress towards one for so long, is given up.
        start_limit: multiple of ``start`` after which such a gang is given up, whatever progress it makes.
        max_relaunches: how often in a row a gang is launched again that was lost with a worker which ran
            nothing, or for a reason that is not known, without a trial settling in between.
        relaunch_backoff: the wait before the first relaunch in a row; it doubles with each.
        relaunch_backoff_limit: the longest such wait.
    """

    cap: int = 128
    silence: float = 10.0
    grace: float = 30.0
    start: float = 60.0
    start_limit: int = 5
    max_relaunches: int = 3
    relaunch_backoff: float = 1.0
    relaunch_backoff_limit: float = 60.0

    def backoff(self, before: int) -> float:
        """The wait before a relaunch.

        Args:
            before: how many relaunches in a row there were before.
        """
        return min(self.relaunch_backoff * 2.0 ** min(before, _DOUBLINGS), self.relaunch_backoff_limit)


@dataclass(frozen=True, slots=True)
class Elastic:
    """Limits of an elastic pool's workers, in seconds.

    Attributes:
        idle: a worker that had no trial for so long leaves.
        cause_wait: for so long a trial that the loss of its worker would end waits for Spark to call that a
            preemption, and a job that has lost its worker for the end of it or for another start of its task.
        surplus: a launch that waits for a worker and was not needed for so long is withdrawn.
    """

    idle: float = 60.0
    cause_wait: float = 10.0
    surplus: float = 2.0


@dataclass(slots=True)
class Trial:
    """A trial that has not settled.

    Attributes:
        state: where it is on its way.
        max_attempts: how many workers may be lost while they run it.
        attempts: how often it was leased; numbers its leases.
        charged: how many workers were lost while they ran it, and were not preempted as far as is known. The
            rest of its attempts was interrupted for no fault of its own.
        worker: which one runs it.
        ends_as: what it settles as if its attempt ends without an outcome of its own: CANCELLED or PRUNED, by
            whichever came first; None as long as it is to end by itself.
        end_reason: why.
    """

    state: TrialState
    max_attempts: int
    attempts: int = 0
    charged: int = 0
    worker: str | None = None
    ends_as: Outcome | None = None
    end_reason: str = ""

    def loss(self, reason: str) -> str:
        """Say why the trial is lost, and how often it was interrupted otherwise.

        Args:
            reason: why its last worker was lost.
        """
        if self.charged == 1:
            text = f"its worker was lost while it ran it: {reason}"
        else:
            text = f"{self.charged} workers were lost while they ran it, the last one because {reason}"
        others = self.attempts - self.charged
        if others:
            times = "once" if others == 1 else f"{others} times"
            text += f" (it was also interrupted {times} for no fault of its own, which does not count)"
        return text


@dataclass(slots=True)
class Worker:
    """A worker of the current generation of its gang.

    Attributes:
        state: how it can be reached.
        gang: the number of its gang.
        last_seen: when it was last heard of.
        unreachable_since: when it could be reached last, if it cannot any more.
        lease: what it runs.
        draining: why it is to leave, if it is.
        sequence: the number of its last message that counts.
        explained: whether its loss was charged to the trial that it ran, or was a preemption.
        task_attempt: the number that Spark gives to this start of its task.
    """

    state: WorkerState
    gang: int
    last_seen: float
    unreachable_since: float = math.inf
    lease: Lease | None = None
    draining: str | None = None
    sequence: int = 0
    explained: bool = False
    task_attempt: int = 0


@dataclass(slots=True)
class Gang:
    """A barrier job and its history.

    Attributes:
        state: how far its launch has come.
        size: how many workers it has at most.
        generation: how many times it was launched.
        relaunches: how many times in a row it was launched again without a trial settled.
        unexplained: how many times in a row it ended, without a trial settled, with no loss that was charged.
        launched: when it was launched last.
        progressed: when it last came nearer to having a worker: its launch is the first such moment.
        due: when it is to be launched again.
    """

    state: GangState
    size: int
    generation: int = 1
    relaunches: int = 0
    unexplained: int = 0
    launched: float = 0.0
    progressed: float = 0.0
    due: float = math.inf

    @property
    def sleeps(self) -> bool:
        """True if it ended when it was not needed, and is launched again only once it is."""
        return self.state is GangState.DOWN and math.isinf(self.due)

    def start_deadline(self, policy: Policy) -> float:
        """Time at which the gang's launch is given up if it has no worker by then."""
        return min(self.progressed + policy.start, self.launched + policy.start_limit * policy.start)

    @property
    def goes_on(self) -> bool:
        """True if it has workers, or will have some without being asked."""
        return self.state is not GangState.CLOSED and not self.sleeps


@dataclass(slots=True)
class Seat:
    """The place of one worker in an elastic pool, and the job that is to fill it.

    Attributes:
        state: what is of its job and its worker.
        generation: how many times it was launched.
        launched: when it was launched last.
        worker: the name of the one that is here or was here last, since the last launch.
        draining: whether that is to leave once it is free.
        sent_away: whether it was told to leave.
    """

    state: SeatState = SeatState.ASLEEP
    generation: int = 0
    launched: float = 0.0
    worker: str | None = None
    draining: bool = False
    sent_away: bool = False


@dataclass(frozen=True, slots=True)
class Counts:
    """Counts of trials by their states; those that are held count as pending.

    ``lost_attempts`` counts attempts, and apart from the rest.
    """

    submitted: int
    pending: int
    leased: int
    settled: int
    lost_attempts: int
