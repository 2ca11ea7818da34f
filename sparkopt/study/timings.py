"""Times of a study by what they went to, and what that says about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_WORTH_SAYING: Final = 0.1
"""The share of the workers' time that they may wait for suggestions before it is worth a warning..."""

_SECONDS_WORTH_SAYING: Final = 1.0
"""... if it was that long in all."""


@dataclass(slots=True)
class Timings:
    """Times of a study by what they went to, in seconds.

    Attributes:
        pool_start: from the launch of the workers until the first trial was sent to one.
        suggesting: inside the algorithm.
        suggested: how many trials the algorithm proposed in that time.
        busy: inside objectives, summed over workers.
        waiting: between a trial's end and the proposal of the next, for which its worker waited; summed over
            workers. Nothing if a proposal was there already; a proposer that waits on purpose counts too.
        total: from the launch of the workers to the last settled trial.
        workers: how many workers there were.
    """

    pool_start: float = 0.0
    suggesting: float = 0.0
    suggested: int = 0
    busy: float = 0.0
    waiting: float = 0.0
    total: float = 0.0
    workers: int = 0

    @property
    def available(self) -> float:
        """The workers' time, once they were up, summed over workers."""
        return max(0.0, (self.total - self.pool_start) * self.workers)

    @property
    def busy_share(self) -> float:
        """The share of the workers' time, once they were up, that was spent inside objectives."""
        return self.busy / self.available if self.available else 0.0

    @property
    def waiting_share(self) -> float:
        """The share of the workers' time, once they were up, that they waited for suggestions."""
        return self.waiting / self.available if self.available else 0.0

    @property
    def outpaced(self) -> bool:
        """True if the workers could have run more trials in a second than the algorithm suggested."""
        worth = self.waiting >= _SECONDS_WORTH_SAYING and self.waiting_share >= _WORTH_SAYING
        return worth and self.suggesting * self.workers > self.busy

    def summary(self) -> str:
        """In a sentence, and another one if suggestions were slower than trials."""
        said = (
            f"Suggestions took {self.suggesting:.2f} s; workers were inside objectives for {self.busy:.2f} s"
            f" ({self.busy_share:.0%} of their time) and waited for suggestions for {self.waiting:.2f} s"
            f" ({self.waiting_share:.0%})."
        )
        if not self.outpaced:
            return said
        each = 1000 * self.suggesting / self.suggested
        wanted = 1000 * self.busy / (self.suggested * self.workers)
        return (
            f"{said} Suggestions were slower than trials: {each:.2f} ms each, and {self.workers} workers"
            f" could have had one every {wanted:.2f} ms. Fewer workers, longer trials or a quicker algorithm"
            " would leave less of their time unused."
        )
