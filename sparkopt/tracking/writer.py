"""The writer of a study's records. It works behind the search's back, so that no trial waits for the store.

    put ──▶ backlog ──▶ the run's lane ──▶ what is logged is held, and merged ──▶ Delivery ──▶ Store, or file
    call ─────────────▶ the same lane ──▶ a function: requests of the run's trial

Order holds for each run: records and calls of a run are worked off in their order, those of different runs
side by side (run_lanes.py), as many at once as the store bears (pace.py). A run begins as soon as its
turn comes; what is logged to it is held for a while and merged, so that the run of a trial that has ended by
then takes three calls. A backlog that is full holds up whoever puts more (backlog.py).

At the end a store that takes calls and answers none is given up: the thread that closes takes over what the
others were to write, for the file. Their calls may still arrive, which a replay finds out.

What an objective logs is known by its attempt. Once a later attempt of the trial has begun, what is still
held of an earlier one is dropped.
"""

from __future__ import annotations

import contextlib
import dataclasses
import math
import time
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias, TypeVar

from sparkopt.errors import TrackingWarning, warn
from sparkopt.tracking.backlog import Backlog
from sparkopt.tracking.delivery import Delivery, SupersededError
from sparkopt.tracking.masking import mask
from sparkopt.tracking.pace import pace_for
from sparkopt.tracking.run_lanes import Kind, Lanes
from sparkopt.tracking.run_records import Create, End, Log, LogArtifact, Record, Run, size_of
from sparkopt.tracking.store import Store

BACKLOG = 20_000
"""How many records may wait; about five thousand trials."""

BACKLOG_BYTES = 64 * 1024 * 1024
"""How large they may be together."""

PATIENCE = 120.0
"""For how many seconds a store may be out of reach before its records go to a file."""

_HOLDING_SECONDS: Final = 1.0
"""How long something is held back, for more of the same run."""

_MOST_HELD: Final = 800
"""As many entries are not held back: they fill a batch."""

_WAITING_SECONDS: Final = 1.0
"""How often whoever waits for the end hears of what is left."""

_SILENT_SECONDS: Final = 180.0
"""A store that has answered nothing for so long at the end of a search is taken for gone. MLflow itself waits
for two minutes, and tries again."""

_HURRIED_SECONDS: Final = 10.0
"""The same once the user has interrupted that."""

_MOST_TRANSFERS: Final = 16
"""How many files may be on their way to the store at once."""

_TOLD_SECONDS: Final = 1.0
"""A search that has waited for less than this is told nothing."""


@dataclass(slots=True)
class _Held:
    """Entries of a run that are to be written.

    Attributes:
        due: when, on the monotonic clock.
        log: what was logged.
        own: what the objective has logged itself, which comes before that.
        attempt: the attempt that has logged it.
        create: its beginning, if that is not written.
    """

    due: float
    log: Log
    own: Log
    attempt: int = 0
    create: Create | None = None


@dataclass(frozen=True, slots=True)
class _Logged:
    """Entries that an attempt has logged to its run."""

    log: Log
    attempt: int


T = TypeVar("T")

Call: TypeAlias = Callable[[], None]

_Item: TypeAlias = "tuple[Record | _Logged | Call, int, bool]"
"""What is to be done, the room that it takes in the backlog (0 for none), whether a worker waits for it."""


class Writer:
    """Writes records to a store, and calls functions between them. May be used from any thread.

    Args:
        store: where they go.
        file: where they go if the store is out of reach for too long.
        parallelism: how many trials of the study may run at once.
        lanes: how many calls may be made at once at most; None for what suits the store.
        until_kept: waits until what the study knows by now cannot be lost any more, before a run ends.
    """

    def __init__(
        self,
        store: Store,
        file: Path,
        parallelism: int = 1,
        lanes: int | None = None,
        until_kept: Callable[[], None] = lambda: None,
    ) -> None:
        self._until_kept = until_kept
        self._store = store
        self._pace = pace_for(store.uri, parallelism, lanes)
        self._transfers = min(max(2, parallelism), _MOST_TRANSFERS) if lanes is None else lanes
        self._backlog = Backlog(BACKLOG, BACKLOG_BYTES)
        self._held: dict[Run, _Held] = {}
        self._attempts: dict[int, int] = {}
        self._has_taken_over = self._hurries = False
        self._lanes: Lanes[Hashable, _Item] = Lanes(self._turn, self._limit, "sparkopt-tracking")
        self._delivery = Delivery(store, file, PATIENCE, self._pace, self._lanes)

    def _limit(self, kind: Kind) -> int:
        return self._pace.limit if kind is Kind.CALL else self._transfers

    def put(self, record: Record) -> None:
        """Have a record written. Waits while the backlog is full."""
        self._put(record.run, record, record)

    def put_logged(self, log: Log, attempt: int) -> None:
        """Have something written that an attempt has logged, unless a later one begins before that.

        Waits while the backlog is full.
        """
        self._put(log.run, _Logged(log, attempt), log)

    def _put(self, run: Run, item: Record | _Logged, record: Record) -> None:
        size = size_of(record)
        self._backlog.enter(size)
        if isinstance(record, LogArtifact):
            # Those of the study's run need no order.
            key = run if run is not None else record.path
            self._lanes.put(key, (item, size, False), Kind.TRANSFER)
        else:
            self._lanes.put(run, (item, size, False))

    def call(
        self,
        run: int,
        function: Call,
        awaited: bool = False,
        *,
        kind: Kind = Kind.CALL,
        flush: bool = True,
    ) -> None:
        """Have a function called in the run's lane, after what was put into it by now.

        Does not wait: callers have only a few things to be called.

        Args:
            run: the trial's id.
            function: may not raise.
            awaited: whether somebody waits for what it does.
            kind: what it does.
            flush: whether what is logged to the run by now has to be written before that.
        """

        def flush_and_call() -> None:
            self.flush(run)
            function()

        work = flush_and_call if flush else function
        self._lanes.put(run, (work, 0, awaited), kind, urgent=awaited)

    def attempt_begins(self, run: int, attempt: int) -> None:
        """Note that an attempt of a trial runs: what is held of earlier ones is not written any more."""
        if attempt > self._attempts.get(run, 0):
            self._attempts[run] = attempt

    def is_stale(self, run: int, attempt: int) -> bool:
        """Returns whether a later attempt of the trial has begun."""
        return attempt < self._attempts.get(run, 0)

    # From within what `call` calls.

    def write(
        self, record: Create | Log | LogArtifact, attempt: int | None = None, within: float | None = None
    ) -> None:
        """Write a record out of turn.

        Args:
            record: the record.
            attempt: which attempt has logged it; None if none has.
            within: for how many seconds it may be held back at most; None for as long as others.
        """
        match record:
            case Create():
                self._held_of(record.run, math.inf).create = record
            case Log() if attempt is not None:
                self._hold_logged(record, attempt)
            case Log():
                self._held_of(record.run, within).log.add(record)
            case LogArtifact():
                self.begin(record.run)
                self._delivery.write(record)

    def begin(self, run: Run) -> None:
        """Write the beginning of a run, if that is held, with the tags that it has by now."""
        held = self._held.get(run)
        if held is None or held.create is None:
            return
        create, tags = held.create, held.log.tags
        held.create, held.log.tags = None, {}
        if not (held.log or held.own):
            del self._held[run]
        self._delivery.write(dataclasses.replace(create, tags={**create.tags, **tags}))

    def flush(self, run: Run) -> None:
        """Write what is held of a run."""
        self.begin(run)
        held = self._held.pop(run, None)
        if held is None:
            return
        log = Log(run)
        if not self._is_dropped(held):
            log.add(held.own)
        log.add(held.log)
        if log:
            self._delivery.write(log)

    def insist(self, function: Callable[[], T], passes: Callable[[Exception], bool]) -> T:
        """Call a function of the store; see :meth:`Delivery.insist`."""
        return self._delivery.insist(function, passes)

    def forget(self, run: int) -> None:
        """Note that no more comes of a trial."""
        self._attempts.pop(run, None)

    @property
    def has_given_up(self) -> bool:
        """True if the store is out of reach for good, and what comes goes to a file."""
        return self._delivery.is_gone

    def close(self, waiting: Callable[[int], None], last: Record | None = None) -> None:
        """Wait until everything is written, and return what was not.

        Args:
            waiting: called about once a second with how many records are left.
            last: a record that is written once all others are.
        """
        try:
            try:
                self._drain(waiting)
            finally:
                if last is not None:
                    self._write_last(last, waiting)
        finally:
            self._lanes.close()
            self._delivery.close()
            self._tell_how_long_it_held_up()

    def _write_last(self, last: Record, waiting: Callable[[int], None]) -> None:
        if self._has_taken_over:
            self._delivery.write(last)
        else:
            self.put(last)
            self._drain(waiting)

    def _drain(self, waiting: Callable[[int], None]) -> None:
        is_done = False
        try:
            is_done = self._wait(waiting)
        except BaseException:
            # The user does not wait for the store; what is left must not be lost for it.
            self._hurries = True
            self._delivery.stop_waiting()
            is_done = self._wait(lambda left: None)
            raise
        finally:
            if not is_done:  # the store is silent, or the user has interrupted that as well
                self._take_over()

    def _wait(self, waiting: Callable[[int], None]) -> bool:
        """Wait until nothing is left, and return False if the store has been silent for too long."""
        silence = (_HURRIED_SECONDS, *Kind) if self._hurries else (_SILENT_SECONDS, Kind.CALL)
        while not self._lanes.drain(_WAITING_SECONDS):
            waiting(self._lanes.left)
            if self._lanes.is_stuck(*silence):
                return False
        return True

    def _take_over(self) -> None:
        """Have what is left go to the file, whatever the threads wait for that were to write it."""
        self._has_taken_over = True
        lanes = self._lanes.take_over()
        kept = self._delivery.give_up()
        for _, items in lanes:
            for item, size, awaited in items:
                if not (awaited or any(item is each for each in kept)):
                    self._work_off(item)
                if size:
                    self._backlog.leave(size)
        for run in list(self._held):
            with self._noting():
                self.flush(run)

    def _tell_how_long_it_held_up(self) -> None:
        seconds = self._backlog.seconds
        if seconds >= _TOLD_SECONDS:
            warn(
                f"the search waited {seconds:.0f} s for the tracking store {mask(self._store.uri)}: it took"
                f" records more slowly than they came, and {BACKLOG:,} of them, or {BACKLOG_BYTES:,} bytes,"
                " may wait",
                TrackingWarning,
            )

    # A lane's thread.

    def _turn(self, key: Hashable, items: list[_Item], last: bool) -> float | None:
        try:
            while items:
                item, size, _ = items[0]
                try:
                    self._work_off(item)
                finally:
                    if size and items:
                        self._backlog.leave(size)
                del items[:1]
                self._lanes.progress()
            return None if isinstance(key, str) else self._end_turn(key, last)  # type: ignore[arg-type]
        except SupersededError:
            return None

    def _work_off(self, item: Record | _Logged | Call) -> None:
        with self._noting():
            self._take(item)

    @contextlib.contextmanager
    def _noting(self) -> Iterator[None]:
        """Note what is raised: the other records, and those who wait, need it."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - what stores raise is theirs to choose
            self._delivery.drop(error)

    def _take(self, item: Record | _Logged | Call) -> None:
        match item:
            case Create():
                self._held_of(item.run, math.inf).create = item
            case Log():
                self._held_of(item.run).log.add(item)
            case _Logged():
                self._hold_logged(item.log, item.attempt)
            case LogArtifact() if item.run is None:
                self._delivery.write(item)
                return
            case LogArtifact() | End():
                if isinstance(item, End):
                    self._until_kept()
                self.flush(item.run)
                self._delivery.write(item)
                return
            case _:
                item()
                return
        self._flush_if_due(item.log.run if isinstance(item, _Logged) else item.run)

    def _end_turn(self, run: Run, last: bool) -> float | None:
        """Begin the run, and return when what is held is due."""
        with self._noting():
            self.begin(run)
            if last:
                self.flush(run)
            else:
                self._flush_if_due(run)
        held = self._held.get(run)
        return None if held is None else held.due

    def _held_of(self, run: Run, within: float | None = None) -> _Held:
        due = time.monotonic() + (_HOLDING_SECONDS if within is None else within)
        held = self._held.get(run)
        if held is None:
            held = self._held[run] = _Held(due, Log(run), Log(run))
        held.due = min(held.due, due)
        return held

    def _hold_logged(self, log: Log, attempt: int) -> None:
        assert log.run is not None
        if self.is_stale(log.run, attempt):
            return
        held = self._held_of(log.run)
        if held.attempt != attempt:
            held.own, held.attempt = Log(log.run), attempt
        held.own.add(log)

    def _is_dropped(self, held: _Held) -> bool:
        run = held.own.run
        return run is not None and self.is_stale(run, held.attempt)

    def _flush_if_due(self, run: Run) -> None:
        held = self._held.get(run)
        if held is not None and (held.due <= time.monotonic() or len(held.own) + len(held.log) >= _MOST_HELD):
            self.flush(run)
