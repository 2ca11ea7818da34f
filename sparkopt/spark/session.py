"""The Spark session, and what it tells about the cluster."""

from __future__ import annotations

import contextlib
import math
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias
from uuid import uuid4

from py4j.protocol import Py4JError
from pyspark import TaskContext, inheritable_thread_target
from pyspark.resource import ExecutorResourceRequests, ResourceProfile, TaskResourceRequests
from pyspark.sql import SparkSession

from sparkopt.errors import RefusedError, SparkoptWarning, warn
from sparkopt.spark.java import ensure_java

Session: TypeAlias = SparkSession
"""A Spark session, for rooms that must not know Spark."""

Profile: TypeAlias = ResourceProfile
"""What a task needs, for the same rooms."""

Inherit: TypeAlias = Callable[[Callable[[], None]], Callable[[], None]]
"""Makes a function run with a job group, tags and a scheduler pool that some thread has set."""

_LOOPBACK: Final = "127.0.0.1"

_AGAIN_SECONDS: Final = 0.5
"""How long to wait for a cancelled job to end before it is cancelled again."""


def get_session(given: SparkSession | None = None, settings: Mapping[str, str] | None = None) -> SparkSession:
    """The session to use: the given one, the active one, or a new one on this machine.

    Args:
        given: by the user.
        settings: Spark's, for the case that a new one is made.

    Raises:
        RefusedError: inside a Spark task, where there can be no session, or if the given one was stopped.
        JavaNotFoundError: if a session had to be made and there is no Java.
    """
    if TaskContext.get() is not None:
        raise RefusedError(
            "a search on Spark cannot be started here: this runs inside a Spark task, as every objective of"
            " sparkopt does, and only the driver can launch workers. For a search within an objective use"
            " hyperopt.fmin(..., trials=hyperopt.Trials()), which runs in the objective's own process."
        )
    session = given or SparkSession.getActiveSession()
    if session is not None:
        check_running(session)
        return session
    ensure_java()
    # Spark's own default is whatever "python3" means on the PATH, which need not be where sparkopt is.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("sparkopt").config("spark.ui.showConsoleProgress", "false")
    for key, value in (settings or {}).items():
        builder = builder.config(key, value)
    return builder.getOrCreate()


def is_stopped(session: Session) -> bool:
    """Whether somebody has stopped it, or its JVM is gone."""
    java: Any = session.sparkContext._jsc
    try:
        return java is None or bool(java.sc().isStopped())
    except (Py4JError, OSError):
        return True


def inheriting(session: Session) -> Inherit:
    """Makes a function run with what the calling thread has set for its Spark jobs, in whatever thread."""
    inherit: Inherit = inheritable_thread_target(session)
    return inherit


def check_running(session: Session) -> None:
    """Refuse a session that was stopped.

    Raises:
        RefusedError: if it was; the message names it.
    """
    if is_stopped(session):
        raise RefusedError(
            f"the Spark session {session.sparkContext.appName!r} was stopped: use one that runs. SparkTrials"
            " that were made for a stopped session go on in the active one once they were pickled:"
            " trials = pickle.loads(pickle.dumps(trials))."
        )


def ship_module(session: Session, path: Path) -> None:
    """Bring a Python module, or a zip archive of packages, to the executors that run tasks from now on."""
    session.sparkContext.addPyFile(str(path))


def setting(session: Session, key: str, default: str = "") -> str:
    """A Spark setting, as text."""
    value = session.conf.get(key, default)
    return default if value is None else str(value)


def default_parallelism(session: Session) -> int:
    """Spark's default parallelism, at least 1."""
    return max(1, int(session.sparkContext.defaultParallelism))


def slots(session: Session, profile: Profile | None = None) -> int:
    """How many tasks Spark can run at once just now, whether or not they are taken.

    Args:
        session: whose executors to count on.
        profile: the resources that each task needs; by default the session's own.
    """
    context: Any = session.sparkContext._jsc.sc()
    manager = context.resourceProfileManager()
    java = manager.defaultResourceProfile() if profile is None else profile._java_resource_profile
    return int(context.maxNumConcurrentTasks(java))


def supported_profile(session: Session, profile: Profile | None) -> Profile | None:
    """The profile, made known to Spark; None, with a warning, if this session cannot schedule by it.

    Args:
        session: where workers are to run.
        profile: what each of them needs.
    """
    if profile is None:
        return None
    manager: Any = session.sparkContext._jsc.sc().resourceProfileManager()
    known = _java_profile(session, profile)
    try:
        manager.addResourceProfile(known)
    except Exception as error:  # noqa: BLE001 - Spark raises what it would say when the job was submitted
        why = getattr(error, "java_exception", None)
        said = str(why.getMessage()) if why is not None else str(error)
        warn(
            f"resource_profile is not used: Spark cannot schedule barrier tasks by it here ({said})."
            " A profile of task resources alone (TaskResourceRequests) works on standalone, YARN and"
            " Kubernetes clusters.",
            SparkoptWarning,
        )
        return None
    return ResourceProfile(known)


def _java_profile(session: Session, profile: Profile) -> Any:
    """The profile as the JVM has it."""
    if profile._java_resource_profile is not None:
        return profile._java_resource_profile
    jvm: Any = session.sparkContext._jvm
    java = jvm.org.apache.spark.resource
    builder = java.ResourceProfileBuilder()
    builder.require(ExecutorResourceRequests(jvm, profile.executorResources)._java_executor_resource_requests)
    builder.require(TaskResourceRequests(jvm, profile.taskResources)._java_task_resource_requests)
    return builder.build()


def wait_for_slot(session: Session, seconds: float, over: threading.Event | None = None) -> bool:
    """Wait until Spark has a slot that is free, and say whether it has.

    A session on a cluster is ready before its executors are, and when an executor is lost, another may be on
    its way. Spark runs a job of one task as soon as there is a slot for it, so that such a job is waited for.

    Args:
        session: whose executors to wait for.
        seconds: how long.
        over: set it to end the wait early.
    """
    over = over or threading.Event()
    ran = []
    context = session.sparkContext
    tag = f"sparkopt-{uuid4().hex[:12]}"

    def run() -> None:
        context.addJobTag(tag)
        context.setJobDescription("sparkopt waits for a slot")
        with contextlib.suppress(Exception):  # cancelled below
            session.range(1).count()
            ran.append(True)
        over.set()

    thread = threading.Thread(
        target=inheritable_thread_target(session)(run), name="sparkopt-wait", daemon=True
    )
    thread.start()
    over.wait(seconds)
    if not ran:
        cancel_job(session, tag, thread)
    thread.join()
    return bool(ran)


def cancel_job(session: Session, tag: str, thread: threading.Thread, seconds: float = math.inf) -> bool:
    """Have Spark kill a job, and say whether it has ended in time. Its tasks are only asked to stop.

    Args:
        session: where it runs.
        tag: the job's.
        thread: submits the job and waits for it.
        seconds: how long that may take.
    """
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        # Not the session's interruptTag: on a classic session that knows only the calling thread's tags.
        try:
            session.sparkContext.cancelJobsWithTag(tag)
        except Exception:
            # A session ends its jobs when it is stopped.
            if not is_stopped(session):
                raise
        # Spark forgets at once what it was asked, and the thread may still be about to submit the job.
        thread.join(_AGAIN_SECONDS)
    return not thread.is_alive()


def running_tasks(session: Session) -> int:
    """How many tasks of other jobs and ours run just now."""
    tracker = session.sparkContext.statusTracker()
    stages = (tracker.getStageInfo(stage) for stage in tracker.getActiveStageIds())
    return sum(stage.numActiveTasks for stage in stages if stage is not None)


def is_local(session: Session) -> bool:
    """Whether the executors are threads of the driver's own JVM."""
    return setting(session, "spark.master").startswith(("local[", "local-cluster")) or (
        setting(session, "spark.master") == "local"
    )


def driver_host(session: Session) -> str:
    """The address that executors reach this process by."""
    if is_local(session):
        return _LOOPBACK
    return setting(session, "spark.driver.host", _LOOPBACK)
