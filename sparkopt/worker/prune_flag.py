"""Flag in memory that process A shares with its evaluators: the run that is to stop early.

    A: stop(run) ──▶ eight bytes ──▶ B: is_to_stop(run), at each report, in less than a microsecond

A verdict so reaches an objective whatever its threads do, and without one that waits for it. Made before the
nurseries are forked. Whatever an objective writes there concerns its own run alone: runs are numbered.
"""

from __future__ import annotations

import mmap

_BYTES = 8


class PruneFlag:
    """The number of the run that is to stop; 0 for none."""

    def __init__(self) -> None:
        # The view keeps the map from being closed.
        self._number = memoryview(mmap.mmap(-1, _BYTES)).cast("Q")

    def stop(self, run: int) -> None:
        """Have the objective of a run stop early."""
        self._number[0] = run

    def is_to_stop(self, run: int) -> bool:
        """Returns whether the objective of a run is to stop early."""
        return self._number[0] == run
