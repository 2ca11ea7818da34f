"""Lanes: queues that are worked off side by side, each in its own order, by as many threads as help.

    put(key, item) ──▶ the key's lane ──▶ ready ──▶ a thread takes its turn: work(key, items, last)
                          ▲    ▲                      │ more has come meanwhile
                          │    └──────────────────────┤ or the lane holds something back: until it is due
                          └── removed once it is empty┘

A lane has one turn at a time, in which it gets what has come by then. Calls and transfers, of files, are
counted apart, so that neither waits for the other's threads. Threads start when a lane would wait
otherwise.

Threads that put items go before those that work them off. Both need the interpreter, and if each took it away
from the other all the time, a search whose trials take next to no time would take several times as long, and
so would its lanes. So once all lanes are empty, the next turn begins when nothing more has come for a moment,
when something has waited for a while, or when somebody waits for an answer.

It knows nothing of MLflow, and has no clock but ``time.monotonic``.
"""

from __future__ import annotations

import contextlib
import enum
import heapq
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Final, Generic, Protocol, TypeVar

from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("tracking")

LONGEST_SECONDS = 1.0
"""So long may a search without a pause keep the lanes waiting."""

LULL_SECONDS = 0.005
"""After so long without another item, a search has something else to do."""

_MOST_ASIDE = 8
"""So many turns may wait for something at once without being counted."""

K = TypeVar("K", bound=Hashable)
K_contra = TypeVar("K_contra", bound=Hashable, contravariant=True)
T = TypeVar("T")


class Kind(enum.Enum):
    """Kind of a turn."""

    CALL = "call"
    """Short calls of the tracking store."""
    TRANSFER = "transfer"
    """Files on their way."""


class Work(Protocol[K_contra, T]):
    """Works off what a lane has. One thread at a time calls it for a key."""

    def __call__(self, key: K_contra, items: list[T], last: bool, /) -> float | None:
        """Take a lane's turn.

        Args:
            key: the lane's.
            items: what has come, in order; none if what the lane holds back is due.
            last: whether somebody waits until nothing is left, so that nothing may be held back.

        Returns:
            When to come again even if nothing more comes, on the monotonic clock; None if the lane holds
            nothing back.
        """


@dataclass(slots=True)
class _Lane(Generic[K, T]):
    """Items of one key.

    Attributes:
        key: its key.
        items: what waits, each with its kind and whether somebody waits for it.
        turn: the items that its turn was given; the turn removes those that are done.
        urgent: how many of them somebody waits for.
        running: whether a thread has its turn.
        place: the queue in which it waits for a thread; None if it does not.
        due: when it wants a turn even if nothing more comes.
    """

    key: K
    items: deque[tuple[T, Kind, bool]] = field(default_factory=deque)
    turn: list[T] = field(default_factory=list)
    urgent: int = 0
    running: bool = False
    place: deque[_Lane[K, T]] | None = None
    due: float | None = None


@dataclass(slots=True)
class _Ready(Generic[K, T]):
    """Lanes that wait for a thread, and how many have one."""

    urgent: deque[_Lane[K, T]] = field(default_factory=deque)
    others: deque[_Lane[K, T]] = field(default_factory=deque)
    running: int = 0


class Lanes(Generic[K, T]):
    """Works off items in the order of their lanes. May be used from any thread.

    Args:
        work: takes a turn; may not raise.
        limit: how many turns of a kind may be taken at once, at this moment.
        name: of the threads.
    """

    def __init__(self, work: Work[K, T], limit: Callable[[Kind], int], name: str) -> None:
        self._work = work
        self._limit = limit
        self._name = name
        self._lock = threading.Lock()
        self._staff = threading.Condition(self._lock)
        self._hurry = threading.Condition(self._lock)
        self._empty = threading.Condition(self._lock)
        self._lanes: dict[K, _Lane[K, T]] = {}
        self._ready: dict[Kind, _Ready[K, T]] = {kind: _Ready() for kind in Kind}
        self._timers: list[tuple[float, int, _Lane[K, T]]] = []
        self._numbers = itertools.count()
        self._threads: list[threading.Thread] = []
        self._mine = threading.local()
        self._wakes: list[float] = []
        self._aside = 0
        self._left = 0
        self._urgent = 0
        self._resting = True
        self._listening = False
        self._finishing = 0
        self._closed = self._abandoned = False
        self._progress = time.monotonic()

    @property
    def left(self) -> int:
        """Number of items that are not worked off."""
        return self._left

    def has_more(self) -> bool:
        """Returns whether calls wait for a thread."""
        ready = self._ready[Kind.CALL]
        return bool(ready.urgent or ready.others)

    def put(self, key: K, item: T, kind: Kind = Kind.CALL, *, urgent: bool = False) -> None:
        """Have an item worked off, after those that were put into its lane before. Waits for nothing.

        Args:
            key: the lane's.
            item: the item.
            kind: what it is about.
            urgent: whether somebody waits for it: its lane comes before those for which nobody does.
        """
        with self._lock:
            lane = self._lanes.get(key)
            if lane is None:
                lane = self._lanes[key] = _Lane(key)
            lane.items.append((item, kind, urgent))
            self._left += 1
            if urgent:
                lane.urgent += 1
                self._urgent += 1
                self._hurry.notify()
            self._line_up(lane)
            self._call_a_thread()

    def drain(self, seconds: float | None = None) -> bool:
        """Wait until nothing is left, and nothing is held back.

        Args:
            seconds: how long at most; None for as long as it takes.

        Returns:
            Whether nothing is left.
        """
        with self._lock:
            self._finishing += 1
            try:
                self._hurry.notify()
                self._timers.clear()
                for lane in list(self._lanes.values()):
                    self._line_up(lane)
                    if not lane.running and lane.place is None:
                        del self._lanes[lane.key]  # an interrupt came while something was put
                self._call_a_thread()
                self._empty.wait_for(lambda: not self._lanes, seconds)
                return not self._lanes
            finally:
                self._finishing -= 1

    @contextlib.contextmanager
    def aside(self) -> Iterator[None]:
        """Let another lane have a turn meanwhile: for whoever has to wait within its own.

        Only a few may do so at once; the others keep their place.
        """
        ready = self._ready[self._mine.kind]
        with self._lock:
            gives_way = self._aside < _MOST_ASIDE
            if gives_way:
                self._aside += 1
                ready.running -= 1
                self._call_a_thread()
        try:
            yield
        finally:
            if gives_way:
                with self._lock:
                    self._aside -= 1
                    ready.running += 1

    def is_stuck(self, seconds: float, *kinds: Kind) -> bool:
        """Returns whether turns of these kinds are under way, and for so long nothing was worked off."""
        with self._lock:
            running = any(self._ready[kind].running for kind in kinds)
            return running and time.monotonic() - self._progress >= seconds

    def progress(self) -> None:
        """Note that something was worked off within a turn."""
        self._progress = time.monotonic()

    def take_over(self) -> list[tuple[K, list[T]]]:
        """Wait for no turn any more, and return what is left by lane: first what a turn has not come to."""
        with self._lock:
            self._abandoned = True
            left = []
            for lane in self._lanes.values():
                left.append((lane.key, [*lane.turn, *(item for item, *_ in lane.items)]))
                lane.turn.clear()
                lane.items.clear()
            self._left = 0
        self.close()
        return left

    def close(self) -> None:
        """End the threads, once the turns that they have are over; what is left stays."""
        with self._lock:
            self._closed = True
            self._hurry.notify_all()
            self._staff.notify_all()
        for thread in self._threads if not self._abandoned else ():
            thread.join()

    # With the lock.

    def _line_up(self, lane: _Lane[K, T]) -> None:
        """Have a lane wait for a thread, if it does not, or in a better place."""
        if lane.running or not (lane.items or lane.due is not None):
            return
        lane.due = None
        ready = self._ready[lane.items[0][1] if lane.items else Kind.CALL]
        place = ready.urgent if lane.urgent else ready.others
        if lane.place is not place:
            lane.place = place  # where it was before, it is passed over
            place.append(lane)

    def _call_a_thread(self) -> None:
        """Have one more thread look for a turn or, if all are busy, keep the time for what is held back."""
        if self._listening or self._closed:
            return
        if not (self._may_start() or self._is_unwatched()):
            return
        if self._wakes:
            self._staff.notify()
        elif len(self._threads) < sum(map(self._limit, Kind)) + self._aside:
            thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            try:
                thread.start()
            except RuntimeError as error:
                # The system has no more; whoever puts cannot help it. The next call or the end tries again.
                _LOG.warning("thread cannot be started", error, threads=len(self._threads))
            else:
                self._threads.append(thread)

    def _is_unwatched(self) -> bool:
        """Returns whether something is held back, and no idle thread wakes when it is due."""
        return bool(self._timers) and self._timers[0][0] < min(self._wakes, default=math.inf)

    def _may_start(self) -> bool:
        return any(
            (ready.urgent or ready.others) and ready.running < self._limit(kind)
            for kind, ready in self._ready.items()
        )

    def _take(self) -> tuple[_Lane[K, T], Kind] | None:
        """The lane whose turn it is."""
        for kind, ready in self._ready.items():
            if ready.running >= self._limit(kind):
                continue
            for place in (ready.urgent, ready.others):
                while place:
                    lane = place.popleft()
                    if lane.place is place and not lane.running:
                        lane.place = None
                        lane.running = True
                        ready.running += 1
                        return lane, kind
        return None

    def _items_of(self, lane: _Lane[K, T], kind: Kind) -> list[T]:
        """Returns what a lane gets in its turn: all that is of the same kind."""
        items = []
        while lane.items and lane.items[0][1] is kind:
            item, _, urgent = lane.items.popleft()
            if urgent:
                lane.urgent -= 1
                self._urgent -= 1
            items.append(item)
        return items

    def _wake_what_is_due(self) -> float:
        """Line up the lanes that are due, and return when the next one is."""
        now = time.monotonic()
        while self._timers:
            due, _, lane = self._timers[0]
            if lane.due == due and due > now:
                return due
            heapq.heappop(self._timers)
            if lane.due == due:
                self._line_up(lane)
        return math.inf

    def _listen(self) -> None:
        """Wait while more items come, but not for long, nor while somebody waits."""
        until, before = time.monotonic() + LONGEST_SECONDS, -1
        self._listening = True
        while self._left != before and not self._hurries() and time.monotonic() < until:
            before = self._left
            self._hurry.wait(LULL_SECONDS)
        self._listening = False

    def _hurries(self) -> bool:
        return bool(self._urgent or self._finishing or self._closed)

    # The threads.

    def _run(self) -> None:
        with self._lock:
            while (turn := self._next()) is not None:
                lane, kind = turn
                items, last = self._items_of(lane, kind), bool(self._finishing)
                count, lane.turn = len(items), items
                self._mine.kind = kind
                self.progress()
                self._lock.release()
                try:
                    due = self._work(lane.key, items, last)
                finally:
                    self._lock.acquire()
                self._turn_over(lane, kind, count, due)

    def _next(self) -> tuple[_Lane[K, T], Kind] | None:
        while not self._closed:
            wakes = self._wake_what_is_due()
            if self._resting and self._may_start() and not self._listening:
                self._listen()
                self._resting = False
            if not self._listening and (turn := self._take()) is not None:
                self._call_a_thread()
                return turn
            self._wakes.append(wakes)
            self._staff.wait(min(wakes - time.monotonic(), threading.TIMEOUT_MAX))
            self._wakes.remove(wakes)
        return None

    def _turn_over(self, lane: _Lane[K, T], kind: Kind, count: int, due: float | None) -> None:
        self.progress()
        lane.running = False
        lane.turn = []
        self._ready[kind].running -= 1
        self._left -= count
        lane.due = due
        if lane.items or (due is not None and self._finishing):
            self._line_up(lane)
        elif due is not None:
            heapq.heappush(self._timers, (due, next(self._numbers), lane))
        else:
            del self._lanes[lane.key]
            if not self._lanes:
                self._empty.notify_all()
        if all(not (ready.running or ready.urgent or ready.others) for ready in self._ready.values()):
            self._resting = True
