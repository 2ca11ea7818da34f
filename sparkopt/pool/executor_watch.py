"""Watch over the executors of an elastic pool's workers.

A classic session knows what Spark makes of single tasks. So, in a thread of its own, this

    asks about a worker that was cut    until Spark says that its task goes on, or why it has ended
    asks about executors                whether they are decommissioned: their workers get no more trials
    looks at launches now and then      whether Spark has started their tasks

and tells the coordinator. Nothing of it is needed: what Spark does not say, the coordinator finds out by its
own limits, only later, and without a cause.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from sparkopt.coordinator.task_watch import TaskWatch
from sparkopt.core import events
from sparkopt.pool.launches import Launches
from sparkopt.spark.session import Session
from sparkopt.spark.settings import setting
from sparkopt.spark.task_fates import fate_of, is_leaving
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.v1 import worker_pb2

_LOG: Final = ActorLog("pool")

_FIRST_LOOK_SECONDS: Final = 0.1
"""Seconds from a cut to the first question about it; each further one takes twice as long to come."""

_LAST_LOOK_SECONDS: Final = 5.0
"""Most seconds between two questions."""

_EXECUTORS_SECONDS: Final = 0.5
"""Seconds between two looks at the executors."""


@dataclass(slots=True)
class _Worker:
    """A worker whose task has not ended, as far as Spark was asked.

    Attributes:
        tag: of its job.
        task: Spark's id of the attempt of its task.
        executor: Spark's id of its executor, once that is known.
        drained: whether the coordinator knows that its executor is about to go.
        due: when Spark is asked about it next, if it was cut.
        wait: seconds between the questions.
    """

    tag: str
    task: int
    executor: str | None = None
    drained: bool = False
    due: float | None = None
    wait: float = field(default=_FIRST_LOOK_SECONDS)


class ExecutorWatch(TaskWatch):
    """Asks Spark about workers' tasks and executors.

    Args:
        session: a classic one.
        launches: of the pool's workers.
        post: has the coordinator take an event in.
        look_seconds: how often to look at the launches.
    """

    def __init__(
        self,
        session: Session,
        launches: Launches,
        post: Callable[[events.Event], None],
        look_seconds: float,
    ) -> None:
        self._session = session
        self._launches = launches
        self._post = post
        self._look_seconds = look_seconds
        self._news: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._workers: dict[str, _Worker] = {}
        self._thread = threading.Thread(target=self._run, name="sparkopt-executors", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End. Idempotent."""
        self._news.put(None)
        if self._thread.ident is not None:
            self._thread.join()

    # From the coordinator's thread.

    def joined(self, hello: worker_pb2.Hello) -> None:
        """A worker is there."""
        if hello.HasField("task_attempt_id"):
            name, task = hello.worker, hello.task_attempt_id
            tag = self._launches.tag_of(hello.gang, hello.generation)
            if tag is not None:
                self._news.put(lambda: self._add(name, tag, task))

    def cut(self, worker: str) -> None:
        """A worker cannot be reached, or has left."""
        self._news.put(lambda: self._note_cut(worker))

    # The thread.

    def _add(self, name: str, tag: str, task: int) -> None:
        known = self._workers.get(name)
        self._workers[name] = _Worker(tag, task, known.executor if known is not None else None)

    def _note_cut(self, name: str) -> None:
        worker = self._workers.get(name)
        if worker is not None and worker.due is None:
            worker.due = time.monotonic() + worker.wait

    def _run(self) -> None:
        may_leave = setting(self._session, "spark.decommission.enabled", "false").lower() == "true"
        look = look_at_executors = time.monotonic()
        while True:
            due = [worker.due for worker in self._workers.values() if worker.due is not None]
            if may_leave and self._workers:
                due.append(look_at_executors)
            try:
                news = self._news.get(timeout=max(0.0, min([look, *due]) - time.monotonic()))
            except queue.Empty:
                pass
            else:
                if news is None:
                    return
                news()
                continue
            now = time.monotonic()
            for name, worker in list(self._workers.items()):
                if worker.due is not None and worker.due <= now:
                    self._ask(name, worker)
            if may_leave and look_at_executors <= now:
                look_at_executors = now + _EXECUTORS_SECONDS
                self._look_at_executors()
            if look <= now:
                look = now + self._look_seconds
                self._launches.look()

    def _ask(self, name: str, worker: _Worker) -> None:
        """Ask what became of the task of a worker that was cut."""
        fate = fate_of(self._session, worker.tag, worker.task)
        if fate is None or not fate.ended:
            worker.wait = min(2 * worker.wait, _LAST_LOOK_SECONDS)
            worker.due = time.monotonic() + worker.wait
            return
        del self._workers[name]
        if fate.lost:
            _LOG.info("task has ended", worker=name, reason=fate.reason, preempted=fate.preempted)
            self._post(events.LossExplained(name, fate.preempted, fate.reason))

    def _look_at_executors(self) -> None:
        for name, worker in self._workers.items():
            if worker.drained:
                continue
            if worker.executor is None and (fate := fate_of(self._session, worker.tag, worker.task)):
                worker.executor = fate.executor
            if worker.executor is not None and is_leaving(self._session, worker.executor):
                worker.drained = True
                self._post(events.DrainRequested(name, "its executor is decommissioned"))
