"""Explains why no worker has come up: whose tasks hold the slots, and what to do about it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import pyspark

from sparkopt.spark import session as spark
from sparkopt.spark.connect import HOST_SETTING
from sparkopt.spark.gang import Gang
from sparkopt.spark.session import Profile, Session
from sparkopt.spark.settings import is_local, setting

_JOBS_NAMED: Final = 3
"""Number of jobs that hold slots and that a message names."""

LOGS: Final = "The executors' logs say more."
"""Advice where nothing better is known."""


def explain(
    reason: str, workers: int, address: str, gangs: Sequence[Gang], session: Session, profile: Profile | None
) -> str:
    """The failure of a start in words: what happened, as far as that can be told, and what to do.

    Args:
        reason: in a few words.
        workers: how many were to come up.
        address: ``host:port`` by which they were to reach this process.
        gangs: their jobs, as they were launched last.
        session: where they were to run.
        profile: the resources that each of them needs.
    """
    said = f"the workers did not come up: {reason}."
    if all(gang.has_ended for gang in gangs):
        return f"{said} {LOGS}"  # their jobs have ended, and the reason is how
    if not spark.tells_tasks(session):
        have = spark.slots(session, profile)
        taken = "how many it has is not known" if have is None else f"it was taken to have {have}"
        slotless = (
            f"other jobs may hold slots: {workers} are needed at once, and {taken}; wait for them, or ask for"
            " a smaller parallelism"
        )
        return f"{said} {of_either(slotless, address)}"
    running = sum(gang.running() or 0 for gang in gangs)
    if running:
        return f"{said} {of_own_tasks(running, workers, address, session)}"
    return f"{said} {workers} slots are needed at once. {_of_slots(workers, gangs, session, profile)}"


def of_own_tasks(running: int, workers: int, address: str, session: Session) -> str:
    """The failure of workers whose tasks Spark has started.

    Args:
        running: how many of them run.
        workers: how many tasks there are to be.
        address: ``host:port`` by which they were to reach this process.
        session: where they run.
    """
    said = (
        f"Spark runs {running} of the {workers} tasks, so they have slots, and none has reached this process."
    )
    slow = "their Python may take long to start, which a larger start_timeout waits for"
    if spark.is_connect(session):
        host = f"the Spark setting {HOST_SETTING} names another address"
    elif is_local(session):
        return f"{said} On a loaded machine {slow}. What they write goes to this process's standard error."
    else:
        host = (
            f"spark.driver.host, which is {setting(session, 'spark.driver.host', '?')!r}, names another one"
        )
    return (
        f"{said} Executors connect to {address}: check that they can, past firewalls ({host}). Or {slow}."
        f" {LOGS}"
    )


def of_either(slotless: str, address: str) -> str:
    """The failure of workers of which it is not known whether Spark has started their tasks.

    Args:
        slotless: what to say for the case that it has not.
        address: ``host:port`` by which they were to reach this process.
    """
    return (
        f"Spark Connect of PySpark {pyspark.__version__} does not tell whether Spark has started their tasks"
        f" (4.0 and newer do). If it has not, {slotless}. If it has, executors do not get through: they"
        f" connect to {address}, so check that they can, past firewalls (the Spark setting {HOST_SETTING}"
        f" names another address). {LOGS}"
    )


def _of_slots(workers: int, gangs: Sequence[Gang], session: Session, profile: Profile | None) -> str:
    have, others = spark.slots(session, profile), spark.other_jobs(session, [gang.tag for gang in gangs])
    wait = "Wait for them, or ask for a smaller parallelism."
    if others is None:
        taken = (
            "How many it has, Spark Connect does not tell" if have is None else f"It was taken to have {have}"
        )
        return f"{taken}, and Spark has started none of the tasks: other jobs may hold them. {wait}"
    if not have:
        return (
            f"Spark has no executor now (master {setting(session, 'spark.master', '?')}): check that the"
            " cluster has free cores and memory for this application."
        )
    held = sum(tasks for _, tasks in others)
    if held:
        return f"Spark has {have}, of which {held_by(others)}, and {max(0, have - held)} are free. {wait}"
    return (
        f"Spark has {have}, no other job of this application holds any, and none of the tasks has started. If"
        f" executors are just being lost or replaced, a larger start_timeout waits for them. {LOGS}"
    )


def held_by(others: Sequence[tuple[str, int]]) -> str:
    """The slots that other jobs hold, and the names of those that hold most; empty if they hold none.

    Args:
        others: the jobs, each with the number of its slots.
    """
    held = sum(tasks for _, tasks in others)
    if not held:
        return ""
    most = sorted(others, key=lambda job: -job[1])
    named = "; ".join(f"{name}: {tasks}" for name, tasks in most[:_JOBS_NAMED])
    more = f"; and {len(others) - _JOBS_NAMED} more jobs" if len(others) > _JOBS_NAMED else ""
    return f"other jobs of this application hold {held} ({named}{more})"
