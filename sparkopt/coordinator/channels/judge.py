"""Judge: what a study's pruner says of its running trials, in the coordinator's thread."""

from __future__ import annotations

from collections.abc import Callable

from sparkopt.coordinator.channels.study_events import ReportedValues, Settled
from sparkopt.core.pruning.pruner import Pruner


class Judge:
    """Asks a pruner about what trials report. Used from the coordinator's thread only.

    Args:
        pruner: decides. It knows what an earlier run of the study has reported.
        stop: called with a trial that is to stop, and the reason.
    """

    def __init__(self, pruner: Pruner, stop: Callable[[int, str], None]) -> None:
        self._pruner = pruner
        self._stop = stop
        self._stopped: set[int] = set()

    def reported(self, reported: ReportedValues) -> None:
        """A trial reports values: judge it, unless it is to stop already.

        Raises:
            BaseException: whatever the pruner raises.
        """
        tid = reported.tid
        if tid in self._stopped:
            return
        for step, value in zip(reported.steps, reported.values, strict=True):
            if self._pruner.reported(tid, step, value):
                self._stopped.add(tid)
                self._stop(tid, f"the pruner stopped it at step {step}, with the value {value:g}")
                return

    def settled(self, settled: Settled) -> None:
        """A trial has settled.

        Raises:
            BaseException: whatever the pruner raises.
        """
        self._stopped.discard(settled.tid)
        self._pruner.settled(settled.tid, settled.outcome)
