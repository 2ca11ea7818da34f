"""ObjectiveSpec: what runs for each trial of a study, and the terms on which the pool runs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

PRUNE_GRACE_SECONDS: Final = 30.0
"""Seconds that a trial may go on for after its verdict, unless somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class ObjectiveSpec:
    """An objective, as a study hands it to the pool.

    Attributes:
        pickled: the objective; sent once to each worker that runs a trial of the study.
        max_attempts: number of workers that may be lost while they run a trial before the trial is lost.
        trial_timeout: seconds that a trial may take before it is killed and fails; None for no limit.
        prune_grace: seconds that a trial may go on for after its verdict, before it is killed and counts as
            pruned; None for no limit.
    """

    pickled: bytes
    max_attempts: int = 3
    trial_timeout: float | None = None
    prune_grace: float | None = PRUNE_GRACE_SECONDS
