"""Losses of workers of an elastic pool that Spark has not explained yet, and trials that wait for its word.

A trial is charged with the loss of its worker and runs again at once. If Spark then says that the worker was
preempted, the charge is refunded. A charge that would end the trial has it held until Spark has spoken, or
for as long as that may take.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from sparkopt.core.records import Trial
from sparkopt.core.states import TrialKey

_FEW: Final = 256
"""Number of charges from which on those of settled trials are dropped."""


@dataclass(frozen=True, slots=True)
class Held:
    """A trial that waits for the cause of its last worker's loss.

    Attributes:
        worker: the name of that worker.
        reason: why it was lost, as far as that is known.
        due: when the trial is lost.
    """

    worker: str
    reason: str
    due: float


class Losses:
    """Charges that may be refunded, and trials that are held.

    Args:
        trials: those that have not settled; to be looked at only.

    Attributes:
        held: the trials that are held, those first that are due first. The caller adds and removes them.
    """

    def __init__(self, trials: Mapping[TrialKey, Trial]) -> None:
        self.held: dict[TrialKey, Held] = {}
        self._trials = trials
        self._charged: dict[str, TrialKey] = {}
        self._many = _FEW

    def charged(self, worker: str, key: TrialKey) -> None:
        """A trial is charged with the loss of this worker. A worker is lost once."""
        self._charged[worker] = key
        if len(self._charged) >= self._many:
            self._charged = {name: key for name, key in self._charged.items() if key in self._trials}
            self._many = max(_FEW, 2 * len(self._charged))

    def explained(self, worker: str) -> TrialKey | None:
        """Return the trial that is charged with this worker's loss, if it has not settled; tells it once."""
        key = self._charged.pop(worker, None)
        return key if key in self._trials else None

    def due(self, now: float) -> tuple[TrialKey, Held] | None:
        """A trial that has been held for long enough, if there is one. It is to be removed then."""
        for key, held in self.held.items():
            return (key, held) if now >= held.due else None
        return None

    @property
    def deadline(self) -> float:
        """When the next trial has been held for long enough; infinite if none is held."""
        return next((held.due for held in self.held.values()), math.inf)
