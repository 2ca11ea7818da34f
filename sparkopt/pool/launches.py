"""Launches of a pool's gangs: the last one of each. Any thread may ask."""

from __future__ import annotations

import threading

from sparkopt.spark.gang import Gang


class Launches:
    """The gangs of a pool, as they were launched last."""

    def __init__(self) -> None:
        self._gangs: dict[int, Gang] = {}
        self._lock = threading.Lock()

    def add(self, gang: Gang) -> None:
        """Replace the gang's former launch, which has ended."""
        with self._lock:
            self._gangs[gang.number] = gang

    def all(self) -> list[Gang]:
        """All of them, some of which may have ended."""
        with self._lock:
            return list(self._gangs.values())

    def slots_beside(self, number: int) -> int:
        """Number of slots that the other gangs take."""
        return sum(gang.slots for gang in self.all() if gang.number != number)

    @property
    def slots(self) -> int:
        """Number of slots that the gangs take."""
        return sum(gang.slots for gang in self.all())

    def withdraw(self, number: int, generation: int) -> None:
        """Have Spark end the job of a launch, if it is still there."""
        gang = self._find(number, generation)
        if gang is not None:
            gang.withdraw()

    def tag_of(self, number: int, generation: int) -> str | None:
        """The tag of a launch's job, if it is the gang's last one."""
        gang = self._find(number, generation)
        return None if gang is None else gang.tag

    def look(self) -> None:
        """Look whether Spark has started more of their tasks."""
        for gang in self.all():
            gang.look()

    def _find(self, number: int, generation: int) -> Gang | None:
        with self._lock:
            gang = self._gangs.get(number)
        return gang if gang is not None and gang.generation == generation else None
