"""Launchers turn gangs into Spark jobs; this is the protocol of both kinds.

launcher             a gang is                     its workers come
──────────────────   ───────────────────────────   ──────────────────────────────────────
barrier.py           a barrier job                 all at once, when Spark has that many slots
elastic.py           one worker in a job of its    each when Spark has a slot for it
own, which is not a barrier job
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from sparkopt.spark.versions import Work

if TYPE_CHECKING:
    from sparkopt.spark.gang import Gang
    from sparkopt.spark.parallelism import Parallelism


class Launcher(Protocol):
    """Turns gangs into Spark jobs."""

    @property
    def elastic(self) -> bool:
        """True if workers come and go one by one, as the machine wants them."""

    def workers(self, wanted: Parallelism, seconds: float) -> int:
        """Number of workers that a pool which is opened now has at first, or may have if it is elastic.

        Args:
            wanted: the parallelism, decided upon earlier.
            seconds: how long to wait for a first executor, where one is needed.

        Raises:
            NoSlotsError: if Spark can run none.
        """

    def gangs(self, workers: int) -> Sequence[int]:
        """Sizes of the gangs to launch that many workers in; elastic ones come as they are wanted."""

    def room(
        self, size: int, generation: int, taken: Callable[[], int], seconds: float, over: threading.Event
    ) -> int | None:
        """Number of workers that a gang's job may have now; None if that cannot be found out.

        Args:
            size: number of workers that are wanted.
            generation: number of times that the gang has been launched with this.
            taken: returns the number of slots that the pool's other gangs take.
            seconds: how long to wait for a slot, if there is none.
            over: ends that wait early.
        """

    def job(self, size: int, work: Work) -> Callable[[], object]:
        """A job, to be run by a call of what this returns.

        Args:
            size: number of its tasks.
            work: called in each of them.
        """

    def explain(self, reason: str, workers: int, address: str, gangs: Sequence[Gang]) -> str:
        """The failure of a start in words: what happened, as far as that can be told, and what to do.

        Args:
            reason: in a few words.
            workers: how many were to come up.
            address: ``host:port`` by which they were to reach this process.
            gangs: their jobs, as they were launched last.
        """
