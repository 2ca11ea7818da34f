"""Counts of a search's trials, by how they ended."""

from __future__ import annotations

from collections import Counter
from typing import get_args

from hyperopt import base

from sparkopt.hyperopt.documents import is_lost, status_of
from sparkopt.study.trial_record import Status


class TrialCounts(base.Trials):  # type: ignore[misc]
    """hyperopt's Trials that count themselves, as ``hyperopt.SparkTrials`` does."""

    def count_successful_trials(self) -> int:
        """Returns the number of trials that finished with a result of status ``ok``."""
        return self._count("success")

    def count_failed_trials(self) -> int:
        """Returns the number of trials that raised, were lost, or returned a status other than ``ok``."""
        return self._count("failure")

    def count_pruned_trials(self) -> int:
        """Returns the number of trials that were stopped because they would not win; none of them failed."""
        return self._count("pruned")

    def count_by_status(self) -> dict[Status, int]:
        """Returns the number of trials that have ended, by how they did."""
        ended = (base.JOB_STATE_DONE, base.JOB_STATE_ERROR, base.JOB_STATE_CANCEL)
        found = Counter(
            status_of(document)
            for document in [*self._dynamic_trials]
            if document["state"] in ended and (self._exp_key is None or document["exp_key"] == self._exp_key)
        )
        return {status: found[status] for status in get_args(Status)}

    def _count(self, status: Status) -> int:
        states = (base.JOB_STATE_DONE, base.JOB_STATE_ERROR)
        return sum(
            document["state"] in states and status_of(document) == status
            for document in self._dynamic_trials
            if self._exp_key is None or document["exp_key"] == self._exp_key
        )

    def count_lost_trials(self) -> int:
        """Returns how many trials have no result because each worker that tried them was lost."""
        return sum(is_lost(document) for document in self._dynamic_trials)

    def count_cancelled_trials(self) -> int:
        """Returns how many trials were cancelled: by a timeout, an early stop, or the user."""
        return int(self.count_by_state_unsynced(base.JOB_STATE_CANCEL))

    def count_total_trials(self) -> int:
        """Returns how many trials have ended, one way or another."""
        ended = [base.JOB_STATE_DONE, base.JOB_STATE_ERROR, base.JOB_STATE_CANCEL]
        return int(self.count_by_state_unsynced(ended))
