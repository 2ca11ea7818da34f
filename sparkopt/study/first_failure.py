"""Warning of a search's first failed trial, as soon as it has failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkopt.errors import FailedTrialsWarning, warn
from sparkopt.study.listener import Listener

if TYPE_CHECKING:
    from sparkopt.study.failures import Failures
    from sparkopt.study.trial_record import TrialRecord


class FirstFailureListener(Listener):
    """Warns of the first trial that fails, unless the search ends with that failure's error.

    Args:
        failures: of the study. Those that it has by now, from a journal, are summed up at the end only.
    """

    def __init__(self, failures: Failures) -> None:
        self._failures = failures
        self._before = failures.count
        self._warned = False

    def settled(self, record: TrialRecord) -> None:
        """Look whether there is a failure."""
        if not self._warned and self._failures.count > self._before and self._failures.fatal is None:
            self._warned = True
            warn(f"{self._failures.latest}. The search goes on.", FailedTrialsWarning)
