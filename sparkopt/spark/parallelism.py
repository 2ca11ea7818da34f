"""How many trials may run at once: what was asked for, what Spark can run, and never more than 128."""

from __future__ import annotations

import warnings
from typing import Final

from sparkopt.errors import NoSlotsError, ParallelismWarning
from sparkopt.spark import session as spark
from sparkopt.spark.session import Session

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


def decide_parallelism(asked: int | None, session: Session, *, stacklevel: int = 2) -> int:
    """The parallelism to use on this session; warns if it is not the one asked for.

    Args:
        asked: what the user said; None or ≤ 0 means Spark's default.
        session: where the workers will run.
        stacklevel: whose line the warning shows, as for :func:`warnings.warn`.
    """
    used, why = decide(asked, spark.default_parallelism(session), spark.slots(session))
    if why:
        message = f"running at most {used} trials at once: {why}. Set parallelism to choose another number."
        warnings.warn(message, ParallelismWarning, stacklevel=stacklevel + 1)
    return used


def check_slots(wanted: int, session: Session, seconds: float, *, stacklevel: int = 2) -> int:
    """How many workers to launch now: as many as wanted, or as Spark has slots; warns if these are fewer.

    Args:
        wanted: the parallelism, decided upon earlier.
        session: where the workers will run.
        seconds: how long to wait for a first executor, if there is none yet.
        stacklevel: whose line the warning shows, as for :func:`warnings.warn`.

    Raises:
        NoSlotsError: if Spark can run none.
    """
    have = spark.slots(session)
    if have == 0 and spark.wait_for_executor(session, seconds):
        have = spark.slots(session)
    if have == 0:
        raise NoSlotsError(
            f"{wanted} workers are to run, and Spark has no slots at all: no executor has registered within"
            f" {seconds:.0f} s (master {spark.setting(session, 'spark.master', '?')}). Check that the cluster"
            " has free cores and memory for this application, then try again."
        )
    if have < wanted:
        message = f"running {have} workers, not {wanted}: Spark can run no more tasks at once now"
        warnings.warn(message, ParallelismWarning, stacklevel=stacklevel + 1)
    return min(wanted, have)
