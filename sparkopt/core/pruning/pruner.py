"""Pruner: the interface to a rule that stops trials early, and its counterpart for values to be maximized."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from sparkopt.core.states import Outcome


@runtime_checkable
class Pruner(Protocol):
    """Rule that decides which running trials stop, from what the trials of one search report.

    Called in the coordinator's thread, where it must neither wait nor take long: a millisecond in here delays
    every trial of the pool by as much. What it raises ends the search.

    Example:
        >>> class Stagnation:
        ...     '''Stops a trial that has not improved for ten reports.'''
        ...
        ...     def __init__(self):
        ...         self.best, self.since = {}, {}
        ...
        ...     def reported(self, tid, step, value):
        ...         better = value < self.best.get(tid, math.inf)
        ...         self.best[tid] = min(value, self.best.get(tid, math.inf))
        ...         self.since[tid] = 0 if better else self.since.get(tid, 0) + 1
        ...         return self.since[tid] >= 10
        ...
        ...     def settled(self, tid, outcome):
        ...         self.best.pop(tid, None), self.since.pop(tid, None)
    """

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Take a report in, and return whether the trial is to stop.

        Not called again for a trial that is to stop. A search that goes on from a journal calls it for every
        report there, and asks for no verdict.

        Args:
            tid: number of the trial.
            step: of the report. Steps may go back, in another attempt at the trial for example; the value of
                a step that comes again replaces the one before.
            value: a float, NaN perhaps or infinite.
        """

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended, and reports no more.

        Args:
            tid: its number. It need not have reported anything.
            outcome: how it ended; ``outcome.value`` is the word: ``"ok"``, ``"failed"``, ``"pruned"``,
                ``"cancelled"`` or ``"lost"``.
        """


class Maximizing:
    """Pruner for values of which the largest is the best, made of one for values to be minimized.

    Args:
        pruner: gets the values with the opposite sign.
    """

    def __init__(self, pruner: Pruner) -> None:
        self._pruner = pruner

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Return whether the trial is to stop."""
        return self._pruner.reported(tid, step, -value)

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended."""
        self._pruner.settled(tid, outcome)
