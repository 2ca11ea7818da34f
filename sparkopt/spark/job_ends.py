"""The end of a barrier job: its reason, and whether Spark lost the job or somebody wanted it to end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from pyspark.sql import SparkSession

from sparkopt.spark import connect, interpreters, versions
from sparkopt.spark.bootstrap import UnfitExecutorError
from sparkopt.spark.session import is_connect, is_stopped, name
from sparkopt.spark.task_fates import is_preemption

_SESSION_GONE: Final = re.compile(r"\[INVALID_HANDLE\.SESSION_(CLOSED|NOT_FOUND|CHANGED)\]")
"""The error conditions of Spark Connect for a session that somebody has closed."""

_FAILED_TASK: Final = re.compile(r"barrier task \w+\(\d+, (\d+)\) finished unsuccessfully")
"""Spark's words for the task whose failure ended a barrier job, be it its own or its executor's."""

_UNFIT: Final = re.compile(rf"^(?:[\w.]+\.)?{UnfitExecutorError.__name__}: (.+)$", re.MULTILINE)
"""A worker's message that its Python cannot run it, which is shown without the exception's name."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The end of a job.

    Attributes:
        reason: in a line.
        wanted: whether somebody cancelled the job or stopped its session.
        slots: those whose tasks have failed and so ended the job, as far as Spark says so.
        preempted: whether the job has ended for no fault of its tasks: Spark says that their executor was
            taken away, or the job was withdrawn.
    """

    reason: str
    wanted: bool = False
    slots: tuple[int, ...] = ()
    preempted: bool = False


def job_end_of(session: SparkSession, error: Exception) -> JobEnd:
    """The end of a job whose action has raised this. Raises nothing: somebody waits for the job's end."""
    try:
        return _told_by_spark(session, error)
    except Exception as another:  # noqa: BLE001 - Spark is asked for the rest, and may be gone or of another version
        return JobEnd(f"{describe(error)} (no more is known of it: {describe(another)})")


def _told_by_spark(session: SparkSession, error: Exception) -> JobEnd:
    if is_stopped(session):
        # Spark's own words for it differ with the moment, and some of them are py4j's.
        return _stopped(session)
    text = str(error)
    if _SESSION_GONE.search(text):
        return _stopped(session)
    if is_connect(session):
        if versions.is_cancelled_on_connect(text):
            if connect.is_stopped_by_now(session):
                return _stopped(session)
            return JobEnd("its Spark job was cancelled", wanted=True)
    elif cancelled := versions.cancelled_job(error):
        number, reason = cancelled
        return JobEnd(f"Spark job {number} was cancelled{reason and f' ({reason})'}", wanted=True)
    # A worker has told of its Python itself, if it could.
    unfit = "" if _UNFIT.search(text) else interpreters.explain(session, text)
    return JobEnd(
        unfit or explain(text) or describe(error),
        slots=failed_slots(text),
        preempted=is_preemption(text),
    )


def _stopped(session: SparkSession) -> JobEnd:
    return JobEnd(f"the Spark session {name(session)!r} was stopped", wanted=True)


def failed_slots(text: str) -> tuple[int, ...]:
    """The slots of the tasks that have failed and so ended a barrier job, by what Spark says of it."""
    return tuple(sorted({int(slot) for slot in _FAILED_TASK.findall(text)}))


def explain(text: str) -> str:
    """Explain Spark's error in a line, from its text; empty if it has no text."""
    if unfit := _UNFIT.search(text):
        return unfit[1]
    # py4j puts a colon before what Spark has raised, in the line after its own words.
    raised = re.findall(r"^(?:: )?(?:[\w.]+\.)?(\w+(?:Error|Exception|Ended): .+)$", text, re.MULTILINE)
    return str(raised[-1]) if raised else text.strip().partition("\n")[0]


def describe(error: BaseException) -> str:
    """An error in a line, without asking Spark: errors of py4j's have no text once its JVM is gone."""
    try:
        text = str(error).strip().partition("\n")[0]
    except Exception:  # noqa: BLE001 - as above
        text = ""
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
