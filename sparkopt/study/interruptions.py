"""Warning of a trial that is interrupted again and again, for no fault of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sparkopt.errors import SparkoptWarning, warn
from sparkopt.study.listener import Listener

if TYPE_CHECKING:
    from sparkopt.study.trial_record import TrialRecord

_MANY: Final = 10
"""Number of interruptions from which on they are worth a warning."""


class InterruptionListener(Listener):
    """Warns of the first trial that was interrupted many times.

    What is preempted counts toward no limit. A bound on it would lose trials of a search that only had a bad
    hour; without one, a trial that takes longer than executors live runs again and again. So the user is
    told.

    Args:
        max_attempts: how many workers may be lost with a trial; that many of its attempts may have been
            charged to it.
    """

    def __init__(self, max_attempts: int) -> None:
        self._most = max_attempts + _MANY - 1
        self._warned = False

    def started(self, record: TrialRecord) -> None:
        """Look at the number of the attempt."""
        if record.attempt > self._most and not self._warned:
            self._warned = True
            warn(
                f"trial {record.tid} begins its attempt {record.attempt}: its executors are taken away again"
                " and again, which counts toward no limit. If it takes longer than executors live here, it"
                " never ends: cancel it (`sparkopt cancel`), give the search a timeout, or use executors that"
                " stay.",
                SparkoptWarning,
            )
