"""Launcher of elastic workers: one in a job of its own, that comes when Spark has a slot for it.

While such a job waits, dynamic allocation asks for executors; when it has ended, its executor may go. It is
no barrier job, so what becomes of one worker is nothing to the others.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

from sparkopt.spark import session as spark
from sparkopt.spark import unstarted, versions
from sparkopt.spark.elasticity import most_executors
from sparkopt.spark.gang import Gang
from sparkopt.spark.parallelism import Parallelism
from sparkopt.spark.session import Profile, Session
from sparkopt.spark.settings import setting
from sparkopt.spark.versions import Work


class ElasticLauncher:
    """A :class:`~sparkopt.spark.launcher.Launcher` of jobs of one task.

    Args:
        session: where they run.
        profile: the resources that each worker needs; None for the session's own.
    """

    elastic = True

    def __init__(self, session: Session, profile: Profile | None) -> None:
        self._session = session
        self._profile = profile

    def workers(self, wanted: Parallelism, seconds: float) -> int:
        """As many workers as are wanted, whatever Spark has now."""
        return wanted.most

    def gangs(self, workers: int) -> Sequence[int]:
        """None: the machine has them launched, as trials come."""
        return ()

    def room(
        self, size: int, generation: int, taken: Callable[[], int], seconds: float, over: threading.Event
    ) -> int | None:
        """Room for the worker, which waits for its slot inside Spark."""
        return size

    def job(self, size: int, work: Work) -> Callable[[], object]:
        """A job of one task."""
        on_connect = spark.is_connect(self._session)
        return versions.worker_job(self._session, on_connect, size, work, self._profile, barrier=False)

    def explain(self, reason: str, workers: int, address: str, gangs: Sequence[Gang]) -> str:
        """The failure of a start in words: what Spark was asked for, and its answer."""
        session, profile = self._session, self._profile
        said = f"the workers did not come up: {reason}."
        waiting = [gang for gang in gangs if not gang.has_ended]
        if not waiting:
            return f"{said} {unstarted.LOGS}"
        running = sum(gang.running() or 0 for gang in waiting)
        if running:
            return f"{said} {unstarted.of_own_tasks(running, len(waiting), address, session)}"
        slotless = (
            "check that the cluster has free cores and memory for this application, and that it may grow; a"
            " larger start_timeout waits longer"
        )
        if not spark.tells_tasks(session):
            return f"{said} {unstarted.of_either(slotless, address)}"
        master, most = setting(session, "spark.master", "?"), most_executors(session)
        limit = "" if most is None else f", and may have {most} executors at most"
        asked = f"Spark was asked for {len(waiting)} tasks (master {master}{limit})"
        have = spark.slots(session, profile)
        others = spark.other_jobs(session, [gang.tag for gang in gangs])
        if have is None or others is None:
            answer = "has started none of them; how many executors it has, Spark Connect does not tell"
        elif not have:
            answer = "has no executor for them"
        else:
            held = unstarted.held_by(others)
            answer = f"has {have} slots and has started none of them" + (f"; {held}" if held else "")
        return f"{said} {asked}, and {answer}. {slotless[0].upper()}{slotless[1:]}."
