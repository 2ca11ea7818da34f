"""Room for a study's trials: how many may be outstanding. It grows as workers come."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkopt.study.study_spec import StudySpec

if TYPE_CHECKING:
    from sparkopt.study.journal import SearchJournal


class Room:
    """Number of trials that may be outstanding: one for each worker, and some that wait.

    Attributes:
        workers: how many workers are counted on.

    Args:
        spec: how many wait.
        workers: how many workers there are to be, as far as it is known before they come.
        most: how many there may be later.
        journal: the study's, if it has one.
    """

    def __init__(
        self, spec: StudySpec, workers: int, most: int, journal: SearchJournal | None = None
    ) -> None:
        self._spec = spec
        self._journal = journal
        self._most = most
        self._count_on(workers)

    @property
    def trials(self) -> int:
        """Number of trials that may be outstanding: none while the journal is full, which wakes the study."""
        return 0 if self._journal is not None and self._journal.is_full else self._trials

    def widen(self, present: int) -> bool:
        """``present`` workers are there; returns whether there is more room than before."""
        workers = min(present, self._most)
        if workers <= self.workers:
            return False
        self._count_on(workers)
        return True

    def _count_on(self, workers: int) -> None:
        self.workers = workers
        self._trials = workers + self._spec.ahead - (1 if workers == 1 else 0)
