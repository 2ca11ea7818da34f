"""Feed of a pool's events, numbered, and the watchers that read it.

    happened ──▶ kept, the last 100,000, each with its number ◀── Watcher, at its own place
    a trial's newest value ──▶ those watchers that want values, each with its own until it has taken it

Nobody gets a queue of its own: a watcher is a place in what is kept. One that reads so slowly that a quarter
of that piles up in front of it is told so and dropped; what it has missed is kept for a while yet. Whoever
makes events waits for nobody, and messages are made by the calls that send them.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from operator import itemgetter
from typing import Final

from sparkopt.core.states import TrialKey
from sparkopt.errors import EventsForgottenError, LimitExceededError
from sparkopt.wire.v1 import control_pb2

KEPT: Final = 100_000
"""Most events that are kept."""

_TAKEN: Final = 256
"""Most events that a watcher takes at once."""


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """Event of a pool, kept for its watchers.

    Attributes:
        time: when, in seconds since the epoch.
        study: the study that it is about; empty if it is about the pool or a worker.
        fill: makes its message, with what was so then.
    """

    time: float
    study: str
    fill: Callable[[control_pb2.Event], None]


class Feed:
    """The events of a pool. On the coordinator's loop only.

    Attributes:
        last: the number of the last event; they are numbered from 1.
        closed: whether nothing more will come.

    Args:
        kept: how many events are kept.
    """

    def __init__(self, kept: int = KEPT) -> None:
        self.last = 0
        self.closed = False
        self._kept: deque[FeedEntry] = deque(maxlen=kept)
        self._sleepers: asyncio.Future[None] | None = None
        self._watchers: set[Watcher] = set()
        self._pile = kept // 4
        self._due = 0
        self._wanting = 0

    def add(self, happened: FeedEntry) -> None:
        """Number an event, and wake who waits for one."""
        self._kept.append(happened)
        self.last += 1
        if self._watchers:
            self._wake()
            if self.last >= self._due:
                self._drop_slow()

    @property
    def wants_values(self) -> bool:
        """True if a watcher wants intermediate values."""
        return self._wanting > 0

    def add_value(self, trial: TrialKey, happened: FeedEntry) -> None:
        """Have those watchers that want values take the newest of a trial. It is not kept."""
        for watcher in self._watchers:
            if watcher.values is not None:
                watcher.values[trial] = self.last, happened
        self._wake()

    def close(self) -> None:
        """End: watchers read the events that there are, and are done. Idempotent."""
        self.closed = True
        self._wake()

    def watch(self, after: int | None = None, values: bool = False) -> Watcher:
        """A watcher that begins after an event; None for the last. To be closed when it is done with.

        Args:
            after: the number of the event.
            values: whether it wants intermediate values.

        Raises:
            EventsForgottenError: if what follows that event is not kept any more, or there was no such event.
        """
        after = self.last if after is None else after
        if after > self.last:
            raise EventsForgottenError(
                f"there was no event {after} in this pool, the last one is {self.last}: the number is from"
                " another pool. Ask for the status, and watch from its last_event.",
                "EVENTS_FORGOTTEN",
            )
        if after < self._forgotten:
            raise EventsForgottenError(
                f"the events after {after} are no longer kept, only those after {self._forgotten}: ask"
                " for the status, and watch from its last_event.",
                "EVENTS_FORGOTTEN",
            )
        watcher = Watcher(self, after, self.last, values)
        self._wanting += values
        self._watchers.add(watcher)
        self._due = min(self._due, self.last + self._pile + 1)
        return watcher

    @property
    def _forgotten(self) -> int:
        """The number of the last event that is not kept."""
        return self.last - len(self._kept)

    def _drop_slow(self) -> None:
        """Drop who is due, and note when the next one could be."""
        self._due = self.last + self._pile + 1
        for watcher in self._watchers:
            # What there was when it began does not count, as long as it has not read it.
            limit = max(watcher.place, watcher.began) + self._pile
            if self.last > limit:
                watcher.drop()
            else:
                self._due = min(self._due, limit + 1)

    def _wake(self) -> None:
        if self._sleepers is not None:
            self._sleepers.set_result(None)
            self._sleepers = None

    async def _sleep(self) -> None:
        """Wait for the next event."""
        if self._sleepers is None:
            self._sleepers = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._sleepers)

    def _behind(self, place: int) -> list[FeedEntry]:
        """The next few events after a place."""
        start = place - self._forgotten
        return list(itertools.islice(self._kept, start, start + _TAKEN))


class Watcher:
    """Somebody's place among the events.

    Attributes:
        place: the number of the last event that was taken.
        began: the number of the last event when it began.
        dropped: done once it has read too slowly.
        values: newest intermediate values that it has not taken, each with the number of the last event
            before it; None if it wants none.
    """

    def __init__(self, feed: Feed, place: int, began: int, values: bool) -> None:
        self.place = place
        self.began = began
        self.dropped: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.values: dict[TrialKey, tuple[int, FeedEntry]] | None = {} if values else None
        self._feed = feed

    async def take(self) -> list[tuple[int, FeedEntry]]:
        """Wait for the next events, and take them with their numbers; none once the pool has closed.

        Intermediate values are among them, each after the event that it followed, with the number of that
        event.

        Raises:
            LimitExceededError: if it was too slow.
        """
        feed = self._feed
        while self.place == feed.last and not feed.closed and not self.values:
            await feed._sleep()
        if self.dropped.done() or self.place < feed._forgotten:
            raise too_slow()
        happened = feed._behind(self.place)
        numbered = list(enumerate(happened, self.place + 1))
        self.place += len(happened)
        if self.values:
            due = [trial for trial, (number, _) in self.values.items() if number <= self.place]
            numbered += [self.values.pop(trial) for trial in due]
            numbered.sort(key=itemgetter(0))  # which leaves events before the values that followed them
        return numbered

    def drop(self) -> None:
        """It was too slow."""
        if not self.dropped.done():
            self.dropped.set_result(None)

    def close(self) -> None:
        """Watch no more."""
        if self in self._feed._watchers:
            self._feed._watchers.remove(self)
            self._feed._wanting -= self.values is not None
        self.dropped.cancel()


def too_slow() -> LimitExceededError:
    """Error for a watcher that has read too slowly."""
    return LimitExceededError(
        "events came faster than this watch read them: read faster, and come back with the last number that"
        " was read",
        "TOO_SLOW",
    )
