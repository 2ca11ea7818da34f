"""Launcher of barrier jobs: the tasks of a gang start together, and when one of them is lost, all end.

It has to know how many slots there are. Spark does not start a barrier job that has more tasks, and for ten
minutes does not say so either.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sparkopt.spark import parallelism, unstarted, versions
from sparkopt.spark import session as spark
from sparkopt.spark.gang import Gang
from sparkopt.spark.parallelism import Parallelism
from sparkopt.spark.session import Profile, Session
from sparkopt.spark.versions import Work


class BarrierLauncher:
    """A :class:`~sparkopt.spark.launcher.Launcher` of barrier jobs.

    Args:
        session: where they run.
        profile: the resources that each worker needs; None for the session's own.
        gang_size: how many workers share a job; None for all.
    """

    elastic = False

    def __init__(self, session: Session, profile: Profile | None, gang_size: int | None) -> None:
        self._session = session
        self._profile = profile
        self._gang_size = gang_size

    def workers(self, wanted: Parallelism, seconds: float) -> int:
        """As many workers as are wanted, or as Spark has slots now.

        Raises:
            NoSlotsError: if Spark can run none.
        """
        return parallelism.check_slots(wanted, self._session, seconds, self._profile)

    def gangs(self, workers: int) -> Sequence[int]:
        """Sizes of the gangs for that number of workers."""
        return gang_sizes(workers, self._gang_size)

    def room(
        self, size: int, generation: int, taken: Callable[[], int], seconds: float, over: threading.Event
    ) -> int | None:
        """Number of slots besides those of the pool's other gangs; waits a while if there are none."""
        if generation == 1:
            return size  # the slots have just been counted
        held, room = taken(), spark.slots(self._session, self._profile)
        if room is not None and room <= held:
            if not spark.wait_for_slot(self._session, seconds, over):
                return 0
            room = spark.slots(self._session, self._profile)
        return None if room is None else room - held

    def job(self, size: int, work: Work) -> Callable[[], object]:
        """A barrier job."""
        on_connect = spark.is_connect(self._session)
        return versions.worker_job(self._session, on_connect, size, work, self._profile, barrier=True)

    def explain(self, reason: str, workers: int, address: str, gangs: Sequence[Gang]) -> str:
        """The failure of a start in words."""
        return unstarted.explain(reason, workers, address, gangs, self._session, self._profile)


def gang_sizes(workers: int, gang_size: int | None) -> list[int]:
    """Returns how many workers each gang has: as many as it may, and the last one the rest."""
    size = min(workers, gang_size or workers)
    return [min(size, workers - start) for start in range(0, workers, size)]
