"""How many trials may run at once: what was asked for, what Spark can run, and never more than 128."""

from __future__ import annotations

from typing import Final

from sparkopt.errors import NoSlotsError, ParallelismWarning, warn
from sparkopt.spark import session as spark
from sparkopt.spark.session import Profile, Session

LIMIT: Final = 128
"""hyperopt.SparkTrials has the same."""


def decide(asked: int | None, default: int, slots: int) -> tuple[int, str]:
    """The parallelism to use, and why it is not the one asked for ("" if it is).

    Args:
        asked: what the user said; None or ≤ 0 means Spark's default.
        default: Spark's default parallelism.
        slots: how many tasks Spark can run at once; 0 if that is not known yet.
    """
    reasons = []
    if asked is None or asked <= 0:
        given = "None" if asked is None else str(asked)
        reasons.append(f"parallelism={given} means Spark's default parallelism, which is {default}")
        wanted = default
    else:
        wanted = asked
    if wanted > LIMIT:
        reasons.append(f"{wanted} is more than the limit of {LIMIT}")
        wanted = LIMIT
    if 0 < slots < wanted:
        reasons.append(f"{wanted} is more than the {slots} tasks that Spark can run at once")
        wanted = slots
    return wanted, "; ".join(reasons)


def decide_parallelism(asked: int | None, session: Session, profile: Profile | None = None) -> int:
    """The parallelism to use on this session; warns if it is not the one asked for.

    Args:
        asked: what the user said; None or ≤ 0 means Spark's default.
        session: where the workers will run.
        profile: the resources that each of them needs.
    """
    used, why = decide(asked, spark.default_parallelism(session), spark.slots(session, profile))
    if why:
        message = f"running at most {used} trials at once: {why}. Set parallelism to choose another number."
        warn(message, ParallelismWarning)
    return used


def check_slots(wanted: int, session: Session, seconds: float, profile: Profile | None = None) -> int:
    """How many workers to launch now: as many as wanted, or as Spark has slots; warns if these are fewer.

    Args:
        wanted: the parallelism, decided upon earlier.
        session: where the workers will run.
        seconds: how long to wait for a first executor, if there is none yet.
        profile: the resources that each worker needs.

    Raises:
        NoSlotsError: if Spark can run none.
    """
    have = spark.slots(session, profile)
    if have == 0 and spark.wait_for_slot(session, seconds):
        have = spark.slots(session, profile)
    if have == 0:
        raise NoSlotsError(
            f"{wanted} workers are to run, and Spark has no slots at all: no executor has registered within"
            f" {seconds:.0f} s (master {spark.setting(session, 'spark.master', '?')}). Check that the cluster"
            " has free cores and memory for this application, then try again."
        )
    if have < wanted:
        message = f"running {have} workers, not {wanted}: Spark can run no more tasks at once now"
        warn(message, ParallelismWarning)
    return min(wanted, have)
