"""Faults drawn from a seed: which there are, how they come about, and how it is seen that they are over.

Injector ── kills, stops, cuts ──▶ one worker, executor or link at a time
   ▲
Watch ◀── every attempt and outcome, in the coordinator's thread
"""

from __future__ import annotations

import enum
import random
import re
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import psutil

from sparkopt.coordinator import ObjectiveSpec, Recorder, StudyChannel
from sparkopt.coordinator.channels.payload import Payload
from sparkopt.coordinator.channels.study_events import Reported, ReportedValues, Settled, Started
from sparkopt.errors import StorageError
from tests.support.cluster import Cluster, Executor, LinedPool, resume

_RECOVERY: Final = 120.0
"""Seconds after which a fault counts as one that the pool does not recover from."""


class Fault(enum.Enum):
    """What goes wrong."""

    SEGFAULT = "segfault"
    SIGKILL = "sigkill"
    EXIT = "exit"
    EXCEPTION = "exception"
    UNPICKLABLE = "unpicklable"
    HANG = "hang"
    WORKER_KILLED = "worker_killed"
    EXECUTOR_KILLED = "executor_killed"
    EXECUTOR_STOPPED = "executor_stopped"
    LINK_CUT_SHORT = "link_cut_short"
    LINK_CUT_LONG = "link_cut_long"


OWN = (
    Fault.SEGFAULT,
    Fault.SIGKILL,
    Fault.EXIT,
    Fault.EXCEPTION,
    Fault.UNPICKLABLE,
    Fault.HANG,
)
"""What a trial does to its own process."""

OUTSIDE = (
    Fault.WORKER_KILLED,
    Fault.EXECUTOR_KILLED,
    Fault.EXECUTOR_STOPPED,
    Fault.LINK_CUT_SHORT,
    Fault.LINK_CUT_LONG,
)
"""What happens to workers from outside."""


@dataclass(slots=True)
class Strike:
    """A fault from outside that has happened.

    Attributes:
        kind: what it was.
        time: when, in seconds since the epoch.
        gangs: the numbers of those that it struck.
        recovered: when it was over; None if it never was.
    """

    kind: Fault
    time: float
    gangs: frozenset[int]
    recovered: float | None = None


class Watch:
    """Hears of every attempt and every outcome, as a study's recorder does.

    Attributes:
        sent: when each attempt was sent to a worker: by tid and number, in seconds since the epoch.
        outcomes: what has settled, and when.
        over: whether the search has ended.
    """

    def __init__(self) -> None:
        self._news = threading.Condition()
        self.sent: dict[tuple[int, int], float] = {}
        self.outcomes: list[tuple[float, Settled]] = []
        self.over = False

    def started(self, started: Started) -> None:
        """An attempt was sent to a worker."""
        self.sent[started.tid, started.attempt] = started.time

    def reported(self, reported: Reported) -> Reported:
        """Nothing is reported here."""
        return reported

    def reported_values(self, reported: ReportedValues) -> None:
        """Nothing is reported here."""

    def checkpointed(self) -> tuple[int, ...]:
        """No trial has a checkpoint here."""
        return ()

    def keep_checkpoint(self, tid: int, body: bytes | Path) -> Payload:
        """Refuse it: no trial saves any."""
        raise StorageError("the watch keeps no checkpoints")

    def checkpoint(self, tid: int) -> Payload | None:
        """Fetch a trial's checkpoint, which there is not."""
        return None

    def drop_checkpoint(self, tid: int) -> None:
        """Forget it."""

    def settled(self, settled: Settled) -> Settled:
        """A trial has settled."""
        with self._news:
            self.outcomes.append((time.time(), settled))
            self._news.notify_all()
        return settled

    def end(self) -> None:
        """The search is over: nobody need wait any more."""
        with self._news:
            self.over = True
            self._news.notify_all()

    def pause(self, seconds: float) -> bool:
        """Let so much time pass, unless the search ends; says whether it goes on."""
        with self._news:
            return not self._news.wait_for(lambda: self.over, seconds)

    def wait_for_outcomes(self, gangs: Iterable[int], since: float, seconds: float) -> float | None:
        """Wait until each gang has settled a trial that was sent to it after a time; says when that was."""
        missing = set(gangs)
        seen = 0
        last = since

        def heard() -> bool:
            nonlocal seen, last
            for at, settled in self.outcomes[seen:]:
                gang = gang_of(settled.worker)
                if gang in missing and self.sent[settled.tid, settled.attempt] > since:
                    missing.discard(gang)
                    last = at
            seen = len(self.outcomes)
            return not missing

        with self._news:
            self._news.wait_for(lambda: heard() or self.over, seconds)
        return None if missing else last


def gang_of(worker: str | None) -> int | None:
    """The number of a worker's gang, by the worker's name."""
    found = re.match(r"gang(\d+)\.", worker or "")
    return int(found[1]) if found else None


class WatchedPool(LinedPool):
    """A pool whose studies are watched."""

    watch: Watch

    def open_study(
        self,
        objective: ObjectiveSpec,
        recorder: Recorder | None = None,
        name: str | None = None,
        space: Sequence[Mapping[str, Any]] = (),
        directions: Sequence[str] = (),
    ) -> StudyChannel:
        """Open a study that the watch hears of."""
        return super().open_study(objective, self.watch, name, space, directions)


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a trial, as its own file tells it.

    Attributes:
        began: when, in seconds since the epoch.
        nursery: the pid of the worker's nursery.
        fault: when it did harm to itself; None if it did not.
    """

    began: float
    nursery: int
    fault: float | None = None


def runs_of(place: Path, tid: int) -> list[Run]:
    """The runs of a trial."""
    runs: list[Run] = []
    path = place / str(tid)
    for line in path.read_text().splitlines() if path.exists() else ():
        what, at, nursery = line.split()
        if what == "began":
            runs.append(Run(float(at), int(nursery)))
        else:
            # An earlier run of a worker that is out of reach may come to its fault late.
            own = max(place for place, run in enumerate(runs) if run.nursery == int(nursery))
            runs[own] = Run(runs[own].began, int(nursery), float(at))
    return runs


class Injector:
    """Strikes from outside, one time after the other, until the search is over.

    Args:
        seed: what is drawn from: which fault, where, and how long after the last one was over.
        pause: a third to a whole of that, in seconds.
        grace: the pool's.
        cluster: whose executors to strike.
        pool: whose workers and links.
        place: where trials say that they run.

    Attributes:
        strikes: what it has done so far.
        error: what it has failed with.
    """

    def __init__(
        self, seed: int, pause: float, grace: float, cluster: Cluster, pool: WatchedPool, place: Path
    ) -> None:
        self._draw = random.Random(f"outside {seed}")
        self._pause, self._grace = pause, grace
        self._cluster, self._pool, self._watch, self._place = cluster, pool, pool.watch, place
        self._known: dict[int, int] = {}
        self._learned = 0
        self.strikes: list[Strike] = []
        self.error: BaseException | None = None

    def run(self) -> None:
        """Strike until the search is over."""
        try:
            every_gang = tuple(self._pool.lines)
            self._watch.wait_for_outcomes(every_gang, 0.0, _RECOVERY)
            for kind in self._kinds():
                if not self._watch.pause(self._draw.uniform(1 / 3, 1) * self._pause):
                    return
                self._strike(kind)
        except BaseException as error:  # noqa: BLE001 - raised in the main thread
            self.error = error

    def _kinds(self) -> Iterator[Fault]:
        while True:
            deck = list(OUTSIDE)
            self._draw.shuffle(deck)
            yield from deck

    def _strike(self, kind: Fault) -> None:
        chance = self._draw.random()
        workers = self._workers()
        if not workers:
            return
        nursery, gang = workers[int(chance * len(workers))]
        process_a = nursery.parent()
        executor = next((each for each in self._cluster.executors() if each.has(nursery.pid)), None)
        if executor is None or process_a is None:  # it has ended by itself, with the worker
            return
        strike: Callable[[], None]
        match kind:
            case Fault.WORKER_KILLED:
                gangs, strike = {gang}, process_a.kill
            case Fault.EXECUTOR_KILLED:
                gangs, strike = self._on(executor), executor.kill
            case Fault.EXECUTOR_STOPPED:
                gangs, strike = self._on(executor), lambda: self._stop(executor, 2 * self._grace)
            case Fault.LINK_CUT_SHORT:
                gangs, strike = {gang}, lambda: self._cut(gang, self._grace / 4)
            case _:
                gangs, strike = {gang}, lambda: self._cut(gang, 2 * self._grace)
        struck = Strike(kind, time.time(), frozenset(gangs))
        self.strikes.append(struck)
        strike()
        struck.recovered = self._watch.wait_for_outcomes(struck.gangs, struck.time, _RECOVERY)
        if struck.recovered is None and not self._watch.over:
            raise TimeoutError(f"{kind.value}: gangs {sorted(gangs)} have not recovered in {_RECOVERY:g} s")

    def _stop(self, executor: Executor, seconds: float) -> None:
        stopped = executor.stop()
        try:
            self._watch.pause(seconds)
        finally:
            resume(stopped)

    def _cut(self, gang: int, seconds: float) -> None:
        line = self._pool.lines[gang]
        line.cut()
        try:
            self._watch.pause(seconds)
        finally:
            line.mend()

    def _workers(self) -> list[tuple[psutil.Process, int]]:
        """The nursery and the gang of each worker that has settled a trial and lives."""
        settled = self._watch.outcomes[self._learned :]
        self._learned += len(settled)
        for _, each in settled:
            gang, runs = gang_of(each.worker), runs_of(self._place, each.tid)
            if gang is not None and runs:
                self._known[runs[-1].nursery] = gang
        alive = []
        for pid in sorted(self._known):
            try:
                alive.append((psutil.Process(pid), self._known[pid]))
            except psutil.NoSuchProcess:
                del self._known[pid]
        return alive

    def _on(self, executor: Executor) -> set[int]:
        return {gang for nursery, gang in self._workers() if executor.has(nursery.pid)}
