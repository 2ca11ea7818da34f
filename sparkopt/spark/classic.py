"""Access to a classic session through its context: everything that Spark Connect does not have."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import Any, Final

import psutil
from py4j.protocol import Py4JError
from pyspark import SparkContext
from pyspark.resource import ExecutorResourceRequests, ResourceProfile, TaskResourceRequests
from pyspark.sql import SparkSession

from sparkopt.spark.settings import is_local, setting

LOOPBACK: Final = "127.0.0.1"

BIND_SETTING: Final = "spark.driver.bindAddress"
"""The Spark setting that names the address that Spark's driver listens at."""


def has_inherited_gateway() -> bool:
    """Returns whether this process has its JVM from a process that it was forked from."""
    launched = getattr(SparkContext._gateway, "proc", None)
    if launched is None:
        return False  # there is none, or it was there first and has launched this process
    try:
        return psutil.Process(launched.pid).ppid() != os.getpid()
    except psutil.Error:
        return False


def has_context() -> bool:
    """Returns whether a classic session is there, whichever thread made it."""
    return SparkContext._active_spark_context is not None


def name(session: SparkSession) -> str:
    """The application's name."""
    return str(session.sparkContext.appName)


def is_stopped(session: SparkSession) -> bool:
    """Returns whether somebody has stopped it, or its JVM is gone."""
    java: Any = session.sparkContext._jsc
    try:
        return java is None or bool(java.sc().isStopped())
    except (Py4JError, OSError):  # nobody answers any more
        return True


def default_parallelism(session: SparkSession) -> int:
    """Spark's default parallelism."""
    return int(session.sparkContext.defaultParallelism)


def slots(session: SparkSession, profile: ResourceProfile | None) -> int:
    """Returns how many tasks Spark can run at once just now, whether or not they are taken."""
    context: Any = session.sparkContext._jsc.sc()
    manager = context.resourceProfileManager()
    java = manager.defaultResourceProfile() if profile is None else profile._java_resource_profile
    return int(context.maxNumConcurrentTasks(java))


def slots_of_executor(session: SparkSession, profile: ResourceProfile | None) -> int | None:
    """Returns how many tasks one executor runs at once; None if that is not known before there is one."""
    context: Any = session.sparkContext._jsc.sc()
    manager = context.resourceProfileManager()
    java = manager.defaultResourceProfile() if profile is None else profile._java_resource_profile
    each = int(java.maxTasksPerExecutor(context.conf()))
    if java.isCoresLimitKnown():
        return each
    # An executor of a standalone cluster has all the cores of its machine.
    active = context.statusStore().executorList(True)
    found = [active.apply(index) for index in range(active.size())]
    tasks = [int(executor.maxTasks()) for executor in found if executor.id() != "driver"]
    return max(tasks, default=0) or None


def known_profile(session: SparkSession, profile: ResourceProfile) -> ResourceProfile:
    """The profile, made known to Spark.

    Raises:
        Exception: what Spark would say when a job was submitted with it.
    """
    manager: Any = session.sparkContext._jsc.sc().resourceProfileManager()
    known = _java_profile(session, profile)
    manager.addResourceProfile(known)
    return ResourceProfile(known)


def _java_profile(session: SparkSession, profile: ResourceProfile) -> Any:
    """The profile as the JVM has it."""
    if profile._java_resource_profile is not None:
        return profile._java_resource_profile
    jvm: Any = session.sparkContext._jvm
    java = jvm.org.apache.spark.resource
    builder = java.ResourceProfileBuilder()
    builder.require(ExecutorResourceRequests(jvm, profile.executorResources)._java_executor_resource_requests)
    builder.require(TaskResourceRequests(jvm, profile.taskResources)._java_task_resource_requests)
    return builder.build()


def tag_jobs(session: SparkSession, tag: str, description: str) -> None:
    """Give what the calling thread runs from now on a tag, and a description for Spark's UI."""
    session.sparkContext.setJobDescription(description)
    session.sparkContext.addJobTag(tag)


def cancel(session: SparkSession, tag: str) -> None:
    """Cancel what runs under a tag."""
    # Not the session's interruptTag: on a classic session that knows only the calling thread's tags.
    session.sparkContext.cancelJobsWithTag(tag)


def tasks_of(session: SparkSession, tag: str) -> tuple[int, int] | None:
    """Counts the tasks of the jobs with a tag: those that run, and all that have started, even if ended.

    Returns None if there is no such job yet.
    """
    java: Any = session.sparkContext._jsc.sc()
    tracker, store = session.sparkContext.statusTracker(), java.statusStore()
    jobs = [tracker.getJobInfo(job) for job in java.statusTracker().getJobIdsForTag(tag)]
    if not jobs:
        return None
    running = started = 0
    for stage in [stage for job in jobs if job is not None for stage in job.stageIds]:
        # Task by task: what the stage says of them may be ten seconds old.
        attempt = store.lastStageAttempt(stage).attemptId()
        count = int(store.taskCount(stage, attempt))
        tasks = store.taskList(stage, attempt, max(1, count))
        states = [tasks.apply(index).status() for index in range(tasks.size())]
        running, started = running + states.count("RUNNING"), started + len(states)
    return running, started


def task_of(session: SparkSession, tag: str, task_attempt_id: int) -> tuple[str, str, str] | None:
    """An attempt of a task: its executor's id, its state, and Spark's error if it has ended with one.

    Returns None if there is no such attempt yet, or any more.
    """
    java: Any = session.sparkContext._jsc.sc()
    tracker, store = session.sparkContext.statusTracker(), java.statusStore()
    for job in java.statusTracker().getJobIdsForTag(tag):
        info = tracker.getJobInfo(job)
        for stage in () if info is None else info.stageIds:
            attempt = store.lastStageAttempt(stage).attemptId()
            count = int(store.taskCount(stage, attempt))
            tasks = store.taskList(stage, attempt, max(1, count))
            for task in (tasks.apply(index) for index in range(tasks.size())):
                if task.taskId() == task_attempt_id:
                    error = task.errorMessage()
                    said = str(error.get()) if error.isDefined() else ""
                    return str(task.executorId()), str(task.status()), said
    return None


def is_decommissioned(session: SparkSession, executor: str) -> bool:
    """Returns whether Spark has been told that an executor, by its id, is to go."""
    context: Any = session.sparkContext._jsc.sc()
    return bool(context.taskScheduler().getExecutorDecommissionState(executor).isDefined())


def other_jobs(session: SparkSession, tags: Collection[str]) -> list[tuple[str, int]]:
    """The jobs that run tasks and have none of these tags, for a message, each with how many it runs."""
    java: Any = session.sparkContext._jsc.sc()
    tracker, store = java.statusTracker(), java.statusStore()
    ours = {job for tag in tags for job in tracker.getJobIdsForTag(tag)}
    found = []
    for number in tracker.getActiveJobIds():
        if number not in ours:
            job = store.job(number)
            given = [("", job.description()), ("group ", job.jobGroup())]
            said = [f"{what}{option.get()!r}" for what, option in given if option.isDefined()]
            found.append((f"job {number} ({', '.join(said) or job.name()})", int(job.numActiveTasks())))
    return [(name, tasks) for name, tasks in found if tasks]


def driver_host(session: SparkSession) -> str:
    """The address that executors reach this process by."""
    return LOOPBACK if is_local(session) else setting(session, "spark.driver.host", LOOPBACK)


def bind_address(session: SparkSession) -> str:
    """The address of this machine that Spark's driver listens at."""
    return LOOPBACK if is_local(session) else setting(session, BIND_SETTING) or driver_host(session)


def need_broadcast(session: SparkSession, variable: Any) -> None:
    """Have Spark bring a broadcast variable's value to the tasks of the next job of the calling thread."""
    session.sparkContext._pickled_broadcast_vars.add(variable)


@contextmanager
def broadcasts_pickled(session: SparkSession) -> Iterator[Callable[[], list[Any]]]:
    """Learn which broadcast variables are pickled meanwhile.

    A broadcast variable that is pickled adds itself to a registry of the thread's, from which Spark takes
    what the next job needs. The registry is left as it was found.
    """
    registry = session.sparkContext._pickled_broadcast_vars
    before = list(registry)
    registry.clear()
    try:
        yield lambda: list(registry)
    finally:
        registry.clear()
        for variable in before:
            registry.add(variable)
