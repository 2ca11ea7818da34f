"""Warning of a search that is to judge its trials by what they report, and whose trials report nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sparkopt.core.states import Outcome
from sparkopt.errors import SparkoptWarning, warn
from sparkopt.study.listener import Listener

if TYPE_CHECKING:
    from sparkopt.study.trial_record import TrialRecord
    from sparkopt.wire.value_series import ValueSeries

_ENOUGH: Final = 3
"""Number of trials without a report from which on it is no accident."""


class UnreportedListener(Listener):
    """Warns once the first trials have succeeded and not one has reported a value.

    Args:
        metric: name of the metric whose values in MLflow are the reports; None if trials call ``report``.
    """

    def __init__(self, metric: str | None) -> None:
        self._metric = metric
        self._left = _ENOUGH

    def reported(self, record: TrialRecord, values: ValueSeries) -> None:
        """Note that one has: from now on there is nothing to warn of."""
        self._left = 0

    def settled(self, record: TrialRecord) -> None:
        """Count a trial, if it came to its end."""
        if self._left == 0 or record.outcome is not Outcome.OK:
            return
        if record.reports is not None:  # one from a journal, or before the study has looked
            self._left = 0
            return
        self._left -= 1
        if self._left == 0:
            if self._metric is None:
                wanted = "call sparkopt.report(value, step) in the objective while it runs"
            else:
                wanted = (
                    f"have the objective log the metric {self._metric!r} to MLflow while it runs, or name"
                    " another one with metric="
                )
            warn(
                f"{_ENOUGH} trials have succeeded, and none has reported a value: the search has nothing to"
                f" judge trials by, and prunes none. To change that, {wanted}.",
                SparkoptWarning,
            )
