"""Intermediate values of a study's trials, from when they come until the study looks."""

from __future__ import annotations

from dataclasses import dataclass, field
from threading import Lock

from sparkopt.coordinator.channels.study_events import ReportedValues
from sparkopt.wire.value_series import ValueSeries


@dataclass(slots=True)
class AttemptValues:
    """Values of one attempt that the study has not seen.

    Attributes:
        tid: the trial's number.
        attempt: the attempt's.
        series: the values, thinned if there are very many.
    """

    tid: int
    attempt: int
    series: ValueSeries = field(default_factory=ValueSeries)


class GatheredValues:
    """Values of all trials, one series for each attempt. The coordinator's thread adds, the study's takes."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._attempts: dict[tuple[int, int], AttemptValues] = {}

    def add(self, reported: ReportedValues) -> bool:
        """Take values in, and return whether they are the first since the study has looked."""
        key = reported.tid, reported.attempt
        with self._lock:
            first = not self._attempts
            gathered = self._attempts.get(key)
            if gathered is None:
                gathered = self._attempts[key] = AttemptValues(*key)
            gathered.series.extend(reported.steps, reported.values)
        return first

    def take(self) -> list[AttemptValues]:
        """Returns what has come since the last call."""
        with self._lock:
            taken, self._attempts = self._attempts, {}
        return [*taken.values()]
