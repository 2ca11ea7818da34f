"""The way out of workers that were told to leave: their jobs end by themselves, or have to be cancelled."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from sparkopt.coordinator import Coordinator
from sparkopt.spark.gang import Gang

_LEAVE_SECONDS: Final = 5.0
"""Seconds that a job whose workers were expelled may make no progress toward its end."""

_LAST_LEAVE_SECONDS: Final = 60.0
"""Seconds that such a job may take in all to end by itself."""


def has_left(gang: Gang, coordinator: Coordinator, hurries: Callable[[], bool]) -> bool:
    """Wait for a gang's job to end by itself, as long as its workers still come and go.

    Spark warns of each task that it kills, and takes longer for it than a task that is starting needs to
    be sent away by the coordinator.

    Args:
        gang: the job.
        coordinator: has expelled its workers.
        hurries: whether the user has interrupted the wait.
    """
    deadline, before = time.monotonic() + _LAST_LEAVE_SECONDS, None
    while not gang.wait(_LEAVE_SECONDS):
        there = gang.running(), coordinator.attendance.greeted(gang.number, gang.generation)
        # One that has not reached Spark yet cannot be cancelled either.
        starting = there[0] is None or (there[0] > 0 and there[1] < gang.tasks)
        if hurries() or time.monotonic() >= deadline or not (starting or there != before):
            return False
        before = there
    return True
