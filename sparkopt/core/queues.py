"""Queues of the trials that wait for a worker, one for each study; studies take turns."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping

from sparkopt.core.states import TrialKey


class TrialQueues(Mapping[str, deque[TrialKey]]):
    """Pending trials of each study that has any: a mapping by name, in the order of the studies' turns.

    Everything here takes constant time for each trial concerned, except :meth:`remove`, which looks through
    the study's queue. It is to be looked at only; the methods change it.
    """

    def __init__(self) -> None:
        self._queues: dict[str, deque[TrialKey]] = {}
        self._turns: deque[str] = deque()

    def __getitem__(self, study: str) -> deque[TrialKey]:
        return self._queues[study]

    def __iter__(self) -> Iterator[str]:
        return iter(self._turns)

    def __len__(self) -> int:
        return len(self._turns)

    def add(self, study: str, keys: Iterable[TrialKey]) -> None:
        """Put trials at the end of their study's queue. A study that had none pending has its turn last."""
        self._of(study).extend(keys)

    def put_back(self, key: TrialKey) -> None:
        """Put a trial at the front of its study's queue."""
        self._of(key.study).appendleft(key)

    def take(self) -> TrialKey:
        """Take the first trial of the study whose turn it is.

        Raises:
            IndexError: if no trial is pending.
        """
        study = self._turns[0]
        self._turns.rotate(-1)
        key = self._queues[study].popleft()
        self._forget_if_empty(study)
        return key

    def remove(self, key: TrialKey) -> None:
        """Take this trial out of its queue.

        Raises:
            KeyError: if its study has no trial pending.
            ValueError: if it has others only.
        """
        self._queues[key.study].remove(key)
        self._forget_if_empty(key.study)

    def clear(self, study: str) -> None:
        """Take all trials of a study out of its queue."""
        if self._queues.pop(study, None) is not None:
            self._turns.remove(study)

    def _of(self, study: str) -> deque[TrialKey]:
        queue = self._queues.get(study)
        if queue is None:
            queue = self._queues[study] = deque()
            self._turns.append(study)
        return queue

    def _forget_if_empty(self, study: str) -> None:
        if not self._queues[study]:
            self.clear(study)
