"""Watch over the slots that Spark has, for a pool of barrier jobs that may have more workers.

A barrier job has its workers from its start to its end. So when an executor joins, or comes back after a gang
was launched again without it, its slots are for gangs that are added.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

from sparkopt.pool.launches import Launches
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("pool")

_LOOK_SECONDS: Final = 5.0
"""Seconds between two looks. A look that asks Spark takes a few milliseconds."""


class SlotWatch:
    """Looks for slots, in a thread of its own.

    Args:
        slots: says how many tasks Spark can run at once now, whether or not they are taken; None if nothing
            tells.
        launches: of the pool's workers.
        most: how many workers the pool was asked for.
        offer: called from the thread with the number of workers that there is room for.
    """

    def __init__(
        self, slots: Callable[[], int | None], launches: Launches, most: int, offer: Callable[[int], None]
    ) -> None:
        self._slots = slots
        self._launches = launches
        self._most = most
        self._offer = offer
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sparkopt-slots", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(_LOOK_SECONDS):
            # Spark is asked only where its answer can change something.
            if self._launches.slots >= self._most:
                continue
            try:
                slots = self._slots()
            except Exception as error:  # noqa: BLE001 - the session is being stopped, or its server is busy
                _LOG.info("slots unknown", reason=error)
                continue
            if slots is None:
                return  # Nor will it be known later.
            room = min(slots, self._most) - self._launches.slots
            if room > 0:
                self._offer(room)
