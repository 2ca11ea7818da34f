"""Reports in the inboxes of studies. A worker may send a limited number before the study takes some."""

from __future__ import annotations


class UntakenReports:
    """By worker and sequence number, each with its study. Used from the coordinator's loop."""

    def __init__(self) -> None:
        self._workers: dict[str, dict[int, str]] = {}

    def add(self, worker: str, sequence: int, study: str) -> None:
        """A report was handed to its study."""
        self._workers.setdefault(worker, {})[sequence] = study

    def holds(self, worker: str, sequence: int) -> bool:
        """Returns whether the report still lies there."""
        return sequence in self._workers.get(worker, ())

    def of_worker(self, worker: str) -> list[int]:
        """Sequence numbers of a worker's untaken reports."""
        return list(self._workers.get(worker, ()))

    def remove(self, worker: str, sequence: int) -> None:
        """The study has taken a report, if it was not removed with its study before."""
        reports = self._workers.get(worker, {})
        reports.pop(sequence, None)
        if not reports:
            self._workers.pop(worker, None)

    def remove_all_of(self, study: str) -> dict[str, list[int]]:
        """The study has ended; says which reports it has not taken, by their workers."""
        found = {
            worker: [sequence for sequence, other in reports.items() if other == study]
            for worker, reports in self._workers.items()
        }
        removed = {worker: sequences for worker, sequences in found.items() if sequences}
        for worker, sequences in removed.items():
            for sequence in sequences:
                self.remove(worker, sequence)
        return removed
