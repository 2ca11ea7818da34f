"""The Spark session, and what it tells about the cluster: a classic one, or one of Spark Connect.

What the two kinds have in common is here; what each does in its own way is in :mod:`sparkopt.spark.classic`
and :mod:`sparkopt.spark.connect`.
"""

from __future__ import annotations

import contextlib
import math
import os
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Final, TypeAlias
from uuid import uuid4

from pyspark import TaskContext
from pyspark.errors import PySparkRuntimeError
from pyspark.resource import ResourceProfile
from pyspark.sql import SparkSession

from sparkopt.errors import RefusedError, SparkoptWarning, warn
from sparkopt.spark import classic, connect, versions
from sparkopt.spark.background import BackgroundWork
from sparkopt.spark.java import ensure_java
from sparkopt.wire import forks
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.arguments import refuse_type

Session: TypeAlias = SparkSession
"""A Spark session, for rooms that must not know Spark."""

Profile: TypeAlias = ResourceProfile
"""What a task needs, for the same rooms."""

_LOG: Final = ActorLog("pool")

_AGAIN_SECONDS: Final = 0.5
"""How long to wait for a cancelled job to end before it is cancelled again."""


def get_session(
    given: SparkSession | None = None,
    settings: Mapping[str, str] | None = None,
    remote: str | None = None,
) -> SparkSession:
    """The session to use: the given one, the active one, or a new one on this machine.

    Args:
        given: by the user.
        settings: Spark's, for the case that a new one is made.
        remote: for the same case: a Spark Connect server (``sc://host:port``), or ``local[n]`` for one that
            is started in this process. Spark itself looks at ``SPARK_REMOTE`` for it.

    Raises:
        RefusedError: inside a Spark task, where there can be no session, in a process that was forked from
            one with a session, if the given one was stopped, or if a Spark Connect server was to be started
            and PySpark has none.
        JavaNotFoundError: if a session had to be made and there is no Java.
    """
    check_forks("a search on Spark")
    if TaskContext.get() is not None:
        raise RefusedError(
            "a search on Spark cannot be started here: this runs inside a Spark task, as every objective of"
            " sparkopt does, and only the driver can launch workers. For a search within an objective use"
            " hyperopt.fmin(..., trials=hyperopt.Trials()), which runs in the objective's own process."
        )
    if given is not None:
        _check_session(given)
    session = given or _active_session()
    if session is not None:
        check_running(session)
        return session
    return _new_session(dict(settings or {}), remote or os.environ.get("SPARK_REMOTE"))


def _check_session(given: object) -> None:
    kind = type(given)
    if all(hasattr(kind, part) for part in ("conf", "range", "version")):
        return  # of either kind of session, whoever has made it
    hints = {"SparkContext": "give SparkSession.builder.getOrCreate()", "Builder": "call its getOrCreate()"}
    refuse_type("spark_session", given, "None or a SparkSession", hints.get(kind.__name__, ""))


def _active_session() -> SparkSession | None:
    session = SparkSession.getActiveSession()
    if session is None and "SPARK_CONNECT_MODE_ENABLED" in os.environ:
        # On Spark Connect the builder, too, knows only the session of the calling thread.
        with contextlib.suppress(PySparkRuntimeError):
            return SparkSession.active()
    if session is None and classic.has_context():
        # A classic one is active in the thread that made it, and no more once a Ctrl-C has broken py4j's
        # connection of that thread. It is the default of all threads, and gets no settings of ours.
        return SparkSession.builder.getOrCreate()
    return session


def _new_session(settings: dict[str, str], remote: str | None) -> SparkSession:
    own_server = remote is None or remote.startswith("local")
    if own_server:
        ensure_java()
    # Spark's own default is whatever "python3" means on the PATH, which need not be where sparkopt is.
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    builder = SparkSession.builder.appName("sparkopt")
    naming: AbstractContextManager[None] = nullcontext()
    if remote is not None:
        builder = builder.remote(remote)
        naming = versions.naming_a_missing_server(remote)
        settings.pop("spark.master", None)
    if own_server:
        for key, value in {"spark.ui.showConsoleProgress": "false", **settings}.items():
            builder = builder.config(key, value)
    with naming, warnings.catch_warnings():
        # Spark sets them all twice: for the server that it starts, and in vain for the session on it.
        warnings.filterwarnings("ignore", "Failed to set ", UserWarning)
        return builder.getOrCreate()


def check_forks(what: str) -> None:
    """Refuse something in a process that was forked from one that had used Spark or gRPC.

    Raises:
        RefusedError: if this is such a process.
    """
    forks.check(what)
    # The fork may have been before sparkopt was loaded.
    if classic.has_inherited_gateway():
        forks.refuse(what)


def is_connect(session: Session) -> bool:
    """Returns whether it is a session of Spark Connect."""
    return connect.is_connect(session)


def is_stopped(session: Session) -> bool:
    """Returns whether somebody has stopped it, or its JVM is gone."""
    return connect.is_stopped(session) if is_connect(session) else classic.is_stopped(session)


def name(session: Session) -> str:
    """Returns the session's name for a message."""
    return connect.name(session) if is_connect(session) else classic.name(session)


def inheriting(session: Session) -> versions.Inherit:
    """Makes a function run with what the calling thread has set for its Spark jobs, in whatever thread."""
    return versions.inheriting(session, is_connect(session))


def check_running(session: Session) -> None:
    """Refuse a session that was stopped.

    Raises:
        RefusedError: if it was; the message names it.
    """
    if is_stopped(session):
        raise RefusedError(
            f"the Spark session {name(session)!r} was stopped: use one that runs. SparkTrials"
            " that were made for a stopped session go on in the active one once they were pickled:"
            " trials = pickle.loads(pickle.dumps(trials))."
        )


def default_parallelism(session: Session) -> int:
    """Spark's default parallelism, at least 1."""
    said = (
        connect.default_parallelism(session) if is_connect(session) else classic.default_parallelism(session)
    )
    return max(1, said)


def slots(session: Session, profile: Profile | None = None) -> int | None:
    """Returns how many tasks Spark can run at once just now, whether or not they are taken.

    On Spark Connect the number is an assumption, and None if no setting tells.

    Args:
        session: the session whose executors to count on.
        profile: the resources that each task needs; by default the session's own.
    """
    return connect.slots(session, profile) if is_connect(session) else classic.slots(session, profile)


def slots_of_executor(session: Session, profile: Profile | None = None) -> int | None:
    """Returns how many tasks one executor runs at once; None if that is not known, or not yet.

    Args:
        session: the session whose executors they are.
        profile: the resources that each task needs; by default the session's own.
    """
    if is_connect(session):
        return connect.slots_of_executor(session, profile)
    return classic.slots_of_executor(session, profile)


def supported_profile(session: Session, profile: Profile | None) -> Profile | None:
    """The profile, made known to Spark; None, with a warning, if this session cannot schedule by it.

    Args:
        session: where workers are to run.
        profile: what each of them needs.

    Raises:
        RefusedError: on Spark Connect before Spark 4.0, where no job takes one.
    """
    if profile is None:
        return None
    given: object = profile
    if not isinstance(given, ResourceProfile):
        hint = "give its build" if type(profile).__name__ == "ResourceProfileBuilder" else ""
        refuse_type("resource_profile", profile, "None or a pyspark.resource.ResourceProfile", hint)
    versions.check_profiles(session, is_connect(session))
    try:
        if is_connect(session):
            return connect.known_profile(session, profile)
        return classic.known_profile(session, profile)
    except Exception as error:  # noqa: BLE001 - Spark raises what it would say when the job was submitted
        why = getattr(error, "java_exception", None)
        said = str(why.getMessage()) if why is not None else str(error).partition("\n")[0]
        warn(
            f"resource_profile is not used: Spark cannot schedule barrier tasks by it here ({said})."
            " A profile of task resources alone (TaskResourceRequests) works on standalone, YARN and"
            " Kubernetes clusters.",
            SparkoptWarning,
        )
        return None


def tag_jobs(session: Session, tag: str, description: str) -> None:
    """Give what the calling thread runs from now on a tag, and where Spark takes one a description."""
    if is_connect(session):
        connect.tag_jobs(session, tag)
    else:
        classic.tag_jobs(session, tag, description)


def wait_for_slot(session: Session, seconds: float, over: threading.Event | None = None) -> bool:
    """Wait until Spark has a free slot, and return whether it has.

    A session on a cluster is ready before its executors are, and when an executor is lost, another may be on
    its way. Spark runs a job of one task as soon as there is a slot for it, so that such a job is waited for.

    Args:
        session: the session whose executors to wait for.
        seconds: how long.
        over: set it to end the wait early.
    """
    over = over or threading.Event()
    ran = []
    tag = f"sparkopt-{uuid4().hex[:12]}"

    def run() -> None:
        try:
            tag_jobs(session, tag, "sparkopt waits for a slot")
            session.range(0, 1, 1, 1).collect()
            ran.append(True)
        except Exception as error:  # noqa: BLE001 - it is cancelled below; whatever else ends it, there is no slot
            _LOG.info("no slot", reason=error)
        finally:
            over.set()

    thread = threading.Thread(target=inheriting(session)(run), name="sparkopt-wait", daemon=True)

    def end() -> None:
        if not ran:
            cancel_job(session, tag, thread)
        thread.join()

    ending = BackgroundWork(end, "sparkopt-wait-ends")
    try:
        thread.start()
        over.wait(seconds)
    finally:
        ending.finish()
    return bool(ran)


def cancel_job(session: Session, tag: str, thread: threading.Thread, seconds: float = math.inf) -> bool:
    """Have Spark kill a job, and return whether it has ended in time. Its tasks are only asked to stop.

    Args:
        session: where it runs.
        tag: the job's.
        thread: submits the job and waits for it.
        seconds: how long that may take.
    """
    kind = connect if is_connect(session) else classic
    deadline = time.monotonic() + seconds
    while thread.is_alive() and time.monotonic() < deadline:
        try:
            kind.cancel(session, tag)
        except Exception:
            # A session ends its jobs when it is stopped.
            if not is_stopped(session):
                raise
        # Spark forgets at once what it was asked, and the thread may still be about to submit the job.
        thread.join(_AGAIN_SECONDS)
    return not thread.is_alive()


def counting_tasks(session: Session, hear: Callable[[int], None]) -> AbstractContextManager[None]:
    """On Spark Connect, learn how many tasks run of what the calling thread has Spark run meanwhile."""
    return connect.counting_tasks(session, hear) if is_connect(session) else nullcontext()


def tells_tasks(session: Session) -> bool:
    """Returns whether it can be known how many tasks of a job Spark has started."""
    return not is_connect(session) or versions.tells_progress(session)


def tasks_of(session: Session, tag: str) -> tuple[int, int] | None:
    """Counts the tasks of the jobs with a tag: those that run, and all that Spark has started.

    Returns None if the session cannot tell, or if there is no such job yet.
    """
    if is_connect(session):
        return None
    try:
        return classic.tasks_of(session, tag)
    except Exception:  # noqa: BLE001 - the session is being stopped, or its store has just dropped the job
        return None


def other_jobs(session: Session, tags: Collection[str]) -> list[tuple[str, int]] | None:
    """The jobs of the application that run tasks and have none of these tags, each with how many it runs.

    None if that cannot be found out.
    """
    if is_connect(session):
        return None
    try:
        return classic.other_jobs(session, tags)
    except Exception:  # noqa: BLE001 - as above
        return None


def driver_host(session: Session) -> str:
    """The address that executors reach this process by."""
    host = connect.driver_host(session) if is_connect(session) else classic.driver_host(session)
    return host.strip("[]")


def bind_address(session: Session) -> str:
    """The address of this machine to listen at for executors; in a container it may differ from the host.

    Raises:
        RefusedError: if this machine does not have the address.
    """
    on_connect = is_connect(session)
    host = connect.bind_address(session) if on_connect else classic.bind_address(session)
    host = host.strip("[]")
    if not _is_of_this_machine(host):
        raise RefusedError(
            f"cannot listen for workers at {host!r}: it is not an address or name of this machine. Executors"
            f" are told to reach this process at {driver_host(session)!r}; if that leads here by way of a"
            " gateway as into a container, set"
            f" {connect.BIND_SETTING if on_connect else classic.BIND_SETTING} to the address to listen at:"
            " one of this machine, or 0.0.0.0 for all of them"
        )
    return host


def _is_of_this_machine(host: str) -> bool:
    """Returns whether a process can listen at an address, or at one that a name stands for."""
    try:
        found = socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError):
        return False
    for family, kind, protocol, _, address in found:
        try:
            with socket.socket(family, kind, protocol) as probe:
                probe.bind(address)
                return True
        except OSError:
            continue
    return False


def need_broadcasts(session: Session, variables: tuple[Any, ...]) -> None:
    """Have Spark bring these values to the tasks of the next job of the calling thread.

    Spark Connect has no broadcast variables.
    """
    for variable in variables:
        classic.need_broadcast(session, variable)


def broadcasts_pickled(session: Session) -> AbstractContextManager[Callable[[], list[Any]]]:
    """Learn which broadcast variables are pickled meanwhile."""
    return nullcontext(list) if is_connect(session) else classic.broadcasts_pickled(session)
