"""Limit on the records that wait for the tracking store, by number and bytes; callers wait at a full one."""

from __future__ import annotations

import threading
import time
from typing import Final

from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("tracking")


class Backlog:
    """Room for records that wait. May be used from any thread.

    Args:
        records: how many may wait.
        size: how many bytes they may have together; one that is larger waits alone.

    Attributes:
        seconds: for how long it has held up those who add.
    """

    def __init__(self, records: int, size: int) -> None:
        self._most, self._most_bytes = records, size
        self._records = self._bytes = 0
        self._room = threading.Condition()
        self.seconds = 0.0

    def enter(self, size: int) -> None:
        """Take room for a record; wait for it if there is none."""
        with self._room:
            if not self._has_room(size):
                _LOG.warning("search waits for the tracking store", records=self._records, bytes=self._bytes)
                began = time.monotonic()
                self._room.wait_for(lambda: self._has_room(size))
                self.seconds += time.monotonic() - began
            self._records += 1
            self._bytes += size

    def leave(self, size: int) -> None:
        """Give the room of a record back."""
        with self._room:
            self._records -= 1
            self._bytes -= size
            self._room.notify()

    def _has_room(self, size: int) -> bool:
        return self._records == 0 or (self._records < self._most and self._bytes + size <= self._most_bytes)
