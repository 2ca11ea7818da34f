"""The end of a barrier job: its reason, and whether Spark lost the job or somebody wanted it to end."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext
from pyspark.sql import SparkSession

from sparkopt.spark import connect
from sparkopt.spark.bootstrap import UnfitExecutorError
from sparkopt.spark.session import is_connect, is_stopped, name

_JOB_CANCELLED: Final = "SPARK_JOB_CANCELLED"
"""Spark's error condition for a job that somebody wanted to end: by the kill link of the job or its stage in
Spark's UI, or by a method of the session or its context. A job that lost a task never bears it."""


_SESSION_GONE: Final = re.compile(r"\[INVALID_HANDLE\.SESSION_(CLOSED|NOT_FOUND|CHANGED)\]")
"""The error conditions of Spark Connect for a session that somebody has closed."""

_CANCELLED_ON_CONNECT: Final = re.compile(rf"\[(OPERATION_CANCELED|{_JOB_CANCELLED})\]")
"""And those for what somebody has interrupted, or whose job or stage was killed."""


_FAILED_TASK: Final = re.compile(r"barrier task \w+\(\d+, (\d+)\) finished unsuccessfully")
"""Spark's words for the task whose failure ended a barrier job, be it its own or its executor's."""

_UNFIT: Final = re.compile(rf"^(?:[\w.]+\.)?{UnfitExecutorError.__name__}: (.+)$", re.MULTILINE)
"""A worker's word that its Python cannot run it, which needs no further name."""


@dataclass(frozen=True, slots=True)
class JobEnd:
    """The end of a job.

    Attributes:
        reason: in a line.
        wanted: whether somebody cancelled the job or stopped its session.
        slots: those whose tasks have failed and so ended the job, as far as Spark says so.
    """

    reason: str
    wanted: bool = False
    slots: tuple[int, ...] = ()


def job_end_of(session: SparkSession, error: Exception) -> JobEnd:
    """The end of a job whose action has raised this."""
    text = str(error)
    if is_stopped(session) or _SESSION_GONE.search(text):
        # Spark's own words for it differ with the moment, and some of them are py4j's.
        return _stopped(session)
    if is_connect(session) and _CANCELLED_ON_CONNECT.search(text):
        if connect.is_stopped_by_now(session):
            return _stopped(session)
        return JobEnd("its Spark job was cancelled", wanted=True)
    if isinstance(error, Py4JJavaError):
        java = error.java_exception
        throwable = is_instance_of(SparkContext._gateway, java, "org.apache.spark.SparkThrowable")
        if throwable and java.getCondition() == _JOB_CANCELLED:
            about = java.getMessageParameters()
            reason = f" ({about['reason']})" if about["reason"] else ""
            return JobEnd(f"Spark job {about['jobId']} was cancelled{reason}", wanted=True)
    return JobEnd(explain(error), slots=failed_slots(text))


def _stopped(session: SparkSession) -> JobEnd:
    return JobEnd(f"the Spark session {name(session)!r} was stopped", wanted=True)


def failed_slots(text: str) -> tuple[int, ...]:
    """The slots of the tasks that have failed and so ended a barrier job, by what Spark says of it."""
    return tuple(sorted({int(slot) for slot in _FAILED_TASK.findall(text)}))


def explain(error: Exception) -> str:
    """What Spark's exception is about, in a line."""
    text = str(error)
    if unfit := _UNFIT.search(text):
        return unfit[1]
    raised = re.findall(r"^(?:[\w.]+\.)?(\w+(?:Error|Exception|Ended): .+)$", text, re.MULTILINE)
    first_line = text.strip().splitlines()[0] if text.strip() else type(error).__name__
    return str(raised[-1]) if raised else first_line
