"""Limits of a pool's parallelism: what the user asks for, Spark's slots, and 128.

There are warnings if it is less than was asked for, and of what had to be assumed on Spark Connect.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pyspark

from sparkopt.errors import NoSlotsError, ParallelismWarning, SparkoptWarning, warn
from sparkopt.spark import session as spark
from sparkopt.spark.connect import HOST_SETTING
from sparkopt.spark.elasticity import most_tasks
from sparkopt.spark.session import Profile, Session
from sparkopt.spark.settings import is_local, setting
from sparkopt.wire.arguments import check_whole

LIMIT: Final = 128
"""hyperopt.SparkTrials has the same."""


class Parallelism(NamedTuple):
    """Number of trials that may run at once.

    Attributes:
        now: as far as Spark has slots for them, if that is known.
        most: once executors have joined that Spark does not have now.
    """

    now: int
    most: int


def check_parallelism(asked: object) -> int | None:
    """The parallelism that was asked for, as a whole number; None for Spark's default.

    Raises:
        ArgumentTypeError: if it is something else.
    """
    expected = "None or a whole number of trials that may run at once"
    return None if asked is None else check_whole("parallelism", asked, expected, floats=True)


def decide(
    asked: int | None, default: int, slots: int | None, *, elastic: bool = False
) -> tuple[Parallelism, str]:
    """The parallelism to use, and why it is not the one asked for ("" if it is).

    Args:
        asked: what the user said; None or ≤ 0 means the default.
        default: Spark's default parallelism.
        slots: how many tasks Spark can run at once; None or 0 if that is not known, or not yet. For an
            elastic pool, how many it may ever run; that is then the default too.
        elastic: whether it is for an elastic pool.
    """
    meaning, can = "Spark's default parallelism", "can run at once"
    if elastic and slots:
        default, meaning, can = slots, "as many tasks as Spark may ever run at once", "may ever run at once"
    reasons = []
    if asked is None or asked <= 0:
        given = "None" if asked is None else str(asked)
        reasons.append(f"parallelism={given} means {meaning}, which is {default}")
        wanted = default
    else:
        wanted = asked
    if wanted > LIMIT:
        reasons.append(f"{wanted} is more than the limit of {LIMIT}")
        wanted = LIMIT
    now = wanted
    if slots and slots < wanted:
        reasons.append(f"{wanted} is more than the {slots} tasks that Spark {can}")
        now = slots
    return Parallelism(now, now if elastic else wanted), "; ".join(reasons)


def decide_parallelism(
    asked: int | None, session: Session, profile: Profile | None = None, *, elastic: bool = False
) -> Parallelism:
    """The parallelism to use on this session; warns if it is not the one asked for.

    Args:
        asked: what the user said; None or ≤ 0 means the default.
        session: where the workers will run.
        profile: the resources that each of them needs.
        elastic: whether they come and go with executors.
    """
    slots = most_tasks(session, profile) if elastic else spark.slots(session, profile)
    used, why = decide(asked, spark.default_parallelism(session), slots, elastic=elastic)
    if is_local(session):
        used = Parallelism(used.now, used.now)  # No executor ever joins.
    if why:
        later = f" It will be more, up to {used.most}, if executors join." if used.now < used.most else ""
        warn(
            f"running at most {used.now} trials at once: {why}.{later} Set parallelism to choose another"
            " number.",
            ParallelismWarning,
        )
    return used


def check_slots(wanted: Parallelism, session: Session, seconds: float, profile: Profile | None = None) -> int:
    """Returns how many workers to launch now: as many as may be, and Spark has slots for.

    Warns if these are fewer than was said before.

    Args:
        wanted: the parallelism, decided upon earlier.
        session: where the workers will run.
        seconds: how long to wait for a first executor, if there is none yet.
        profile: the resources that each worker needs.

    Raises:
        NoSlotsError: if Spark can run none.
    """
    have = spark.slots(session, profile)
    if have == 0 or (spark.is_connect(session) and not is_local(session)):
        # Spark Connect tells only that there is a slot, and only by a job that has run.
        ran = spark.wait_for_slot(session, seconds)
        have = spark.slots(session, profile) if ran else 0
    if have == 0:
        raise NoSlotsError(
            f"{wanted.now} workers are to run, and Spark has no slots at all: no executor has registered"
            f" within {seconds:.0f} s (master {setting(session, 'spark.master', '?')}). Check that the"
            " cluster has free cores and memory for this application, then try again."
        )
    if have is None:
        return wanted.now
    if have < wanted.now:
        message = f"running {have} workers, not {wanted.now}: Spark can run no more tasks at once now"
        warn(message, ParallelismWarning)
    return min(have, wanted.most)


def warn_of_assumptions(
    workers: int,
    host: str,
    seconds: float,
    session: Session,
    profile: Profile | None,
    *,
    elastic: bool = False,
) -> None:
    """Warn of what is assumed when workers start on Spark Connect, which does not tell it.

    Args:
        workers: how many are to be launched.
        host: the address by which they are to reach this process.
        seconds: how long they may take to come up.
        session: where they will run.
        profile: the resources that each of them needs.
        elastic: whether each of them waits for its slot by itself.
    """
    if not spark.is_connect(session):
        return
    slots = spark.slots(session, profile)
    have = f"{workers}, as many as are wanted" if slots is None else str(slots)
    room = f"Spark can run {have} tasks at once, no other job holds these slots, and "
    untold = (
        ""
        if spark.tells_tasks(session)
        else f" PySpark {pyspark.__version__} does not learn how many tasks Spark has started either (4.0 and"
        " newer do), so a start is not given more time while tasks are starting."
    )
    warn(
        f"Spark Connect does not tell all that a search needs to know. Assumed:"
        f" {'' if elastic else room}executors reach this process at {host} (the Spark setting {HOST_SETTING}"
        f" names another address).{untold} If no worker has come up after {seconds:.0f} s, they are"
        " cancelled and the search ends with an error.",
        SparkoptWarning,
    )
