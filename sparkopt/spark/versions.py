"""Differences between versions of Spark, 3.5.0 to 4.3, for a room that does not ask which of them runs.

Where a feature can be seen it is looked for, not deduced from a version, as platforms add later features to
theirs.

    what                                    since 4.0                3.5
    ─────────────────────────────────────   ──────────────────────   ─────────────────────────────────────
    a profile on Spark Connect              of a data frame          none: refused
    what a thread has set for Spark's jobs  the session's            the context's; on Spark Connect tags
    how many tasks run on Spark Connect     comes with progress      unknown, and said to be
    a server of Spark Connect of one's own  comes with PySpark       has to be fetched: refused without it
    a job that somebody has cancelled       has an error condition   has an error with certain words
    Java                                    17 or newer              8 to 17
"""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TypeAlias

import pyarrow as pa
import pyspark
from py4j.java_gateway import is_instance_of
from py4j.protocol import Py4JJavaError
from pyspark import SparkContext, inheritable_thread_target
from pyspark.errors import PySparkException
from pyspark.resource import ResourceProfile
from pyspark.sql import SparkSession
from pyspark.sql.types import LongType, StructField, StructType

from sparkopt.errors import RefusedError

_MAJOR: Final = int(pyspark.__version__.partition(".")[0])

JAVA: Final = range(8, 18) if _MAJOR < 4 else range(17, sys.maxsize)
"""Feature versions of Java that Spark runs on. On newer ones Spark 3.5 has no Arrow, or does not start."""

Inherit: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
"""Makes a function run with a job group, tags and a scheduler pool that some thread has set."""

Work: TypeAlias = Callable[[], tuple[int, int]]
"""The work of a task: be a worker, and return its slot, and how many trials it ran."""

_Batches: TypeAlias = Iterator[pa.RecordBatch]

# Not as text, which Spark would have to parse.
_SCHEMA: Final = StructType([StructField("slot", LongType()), StructField("trials", LongType())])

_JOB_CANCELLED: Final = "SPARK_JOB_CANCELLED"
"""Spark's error condition for a job that somebody wanted to end: by the kill link of the job or its stage in
Spark's UI, or by a method of the session or its context. A job that lost a task never bears it."""

_SERVER: Final = "org.apache.spark.sql.connect.SparkConnectPlugin"
"""The class that starts a server of Spark Connect."""

_CANCELLED: Final = re.compile(r"Job (\d+) cancelled *(.*)")
"""Its message where there is no such condition. That of a job that lost a task begins with other words."""

_CANCELLED_ON_CONNECT: Final = re.compile(
    rf"\[(OPERATION_CANCELED|{_JOB_CANCELLED})\]|\(org\.apache\.spark\.SparkException\) {_CANCELLED.pattern}"
)


def worker_job(
    session: SparkSession,
    on_connect: bool,
    size: int,
    work: Work,
    profile: ResourceProfile | None,
    *,
    barrier: bool,
) -> Callable[[], object]:
    """A job of workers, to be run by a call of what this returns.

    On a classic session it is one of an RDD: Spark need not plan it, and its tasks load neither PyArrow nor
    NumPy, which take 36 MiB of each Python worker and most of the time that it needs to start. Spark Connect
    has no RDDs.

    Args:
        session: where it runs.
        on_connect: whether that is a session of Spark Connect.
        size: how many tasks it has.
        work: called in each of them.
        profile: what each task needs; None for the session's own.
        barrier: whether the tasks start together, and end when one of them fails.
    """
    if on_connect:
        wanted: dict[str, Any] = {} if profile is None else {"profile": profile}
        frame = session.range(0, size, 1, size)
        return frame.mapInArrow(_of_batches(work), _SCHEMA, barrier=barrier, **wanted).collect
    rows = session.sparkContext.parallelize(range(size), size)
    job = (rows.barrier() if barrier else rows).mapPartitions(_of_rows(work))
    if profile is not None:
        job = job.withResources(profile)
    _ = job._jrdd  # its interpreter is that of this moment, as it is of a data frame
    return job.collect


def _of_batches(work: Work) -> Callable[[_Batches], _Batches]:
    """The function of a task of a data frame."""

    def task(batches: _Batches) -> _Batches:
        for _ in batches:
            pass
        slot, trials = work()
        yield pa.RecordBatch.from_pydict({"slot": [slot], "trials": [trials]})

    return task


def _of_rows(work: Work) -> Callable[[Iterable[int]], Iterable[tuple[int, int]]]:
    """The function of a task of an RDD."""

    def task(rows: Iterable[int]) -> Iterable[tuple[int, int]]:
        for _ in rows:
            pass
        yield work()

    return task


def check_profiles(session: SparkSession, on_connect: bool) -> None:
    """Refuse a profile where nothing takes one.

    Raises:
        RefusedError: if this is Spark Connect of a version before 4.0, at either end.
    """
    if not on_connect:
        return
    for end, version in (("client", pyspark.__version__), ("server", session.version)):
        if int(version.partition(".")[0]) < 4:
            raise RefusedError(
                f"resource_profile cannot be used on Spark Connect before Spark 4.0, and this {end} has"
                f" {version}: leave it out, and set what a task needs for the whole session (spark.task.cpus,"
                " spark.task.resource.*), or use a classic session"
            )


def inheriting(session: SparkSession, on_connect: bool) -> Inherit:
    """Makes a function run with what the calling thread has set for its Spark jobs, in whatever thread."""
    its: Any = session
    if _MAJOR >= 4:
        inherit: Inherit = inheritable_thread_target(its)
        return inherit
    if on_connect:
        tags = tuple(its.getTags())

        def run(target: Callable[[], None]) -> None:
            for tag in tags:
                its.addTag(tag)
            target()
    else:
        run = inheritable_thread_target(lambda target: target())
    return lambda target: functools.partial(run, target)


def tells_progress(session: SparkSession) -> bool:
    """Returns whether a session of Spark Connect tells how many tasks run."""
    return hasattr(session, "registerProgressHandler")


@contextmanager
def naming_a_missing_server(remote: str) -> Iterator[None]:
    """Refuse to start a server of Spark Connect where PySpark comes without one.

    Args:
        remote: what was asked for.

    Raises:
        RefusedError: if what runs meanwhile fails for that reason.
    """
    try:
        yield
    except Py4JJavaError as error:
        if _SERVER not in str(error.java_exception):
            raise
        version, scala = pyspark.__version__, "2.12" if _MAJOR < 4 else "2.13"
        raise RefusedError(
            f"{remote!r} is to start a server of Spark Connect, which this PySpark ({version}) comes without."
            " Name a server that runs (sc://host:port), or have Spark fetch one:"
            f" PYSPARK_SUBMIT_ARGS='--packages org.apache.spark:spark-connect_{scala}:{version}"
            " pyspark-shell'"
        ) from error


def is_cancelled_on_connect(text: str) -> bool:
    """Returns whether an error of Spark Connect is that of a cancelled job or operation."""
    return _CANCELLED_ON_CONNECT.search(text) is not None


def cancelled_job(error: Exception) -> tuple[str, str] | None:
    """The job that somebody has cancelled on a classic session: its number, and the reason if there is one.

    Returns None if that is not why the job has ended.
    """
    if not isinstance(error, Py4JJavaError):
        return None
    java = error.java_exception
    if not is_instance_of(SparkContext._gateway, java, "org.apache.spark.SparkThrowable"):
        return None
    if hasattr(PySparkException, "getCondition"):
        if java.getCondition() != _JOB_CANCELLED:
            return None
        about = java.getMessageParameters()
        return str(about["jobId"]), str(about["reason"] or "")
    found = _CANCELLED.match(str(java.getMessage()))
    return None if found is None else (found[1], found[2])
