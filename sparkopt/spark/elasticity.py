"""Decides whether a pool is elastic, and how many workers Spark may have for it at most.

A pool is elastic where the number of executors changes: under Spark's dynamic allocation, with which barrier
jobs are refused, and on a Databricks cluster that autoscales.
"""

from __future__ import annotations

from typing import Final

from sparkopt.errors import RefusedError, SparkSettingError
from sparkopt.spark import session as spark
from sparkopt.spark.session import Profile, Session
from sparkopt.spark.settings import is_local, setting
from sparkopt.wire.arguments import check_flag

DYNAMIC: Final = "spark.dynamicAllocation.enabled"

_MOST: Final = "spark.dynamicAllocation.maxExecutors"
_SCALING: Final = "spark.databricks.clusterUsageTags.clusterScalingType"
_MOST_ON_DATABRICKS: Final = "spark.databricks.clusterUsageTags.clusterMaxWorkers"

_UNLIMITED: Final = 1_000_000
"""A maximum of executors above this counts as no maximum: Spark's default is the largest integer."""


def check_elastic(elastic: object) -> bool | None:
    """The argument ``elastic``.

    Raises:
        ArgumentTypeError: if it is not None, True or False.
    """
    return None if elastic is None else check_flag("elastic", elastic, "None, True or False")


def decide_elastic(elastic: bool | None, session: Session, gang_size: int | None = None) -> bool:
    """Returns whether workers come and go one by one, rather than as barrier jobs.

    Args:
        elastic: what the user said; None for what suits the cluster.
        session: where the workers will run.
        gang_size: how many workers the user wants to share a barrier job, if they do.

    Raises:
        SparkSettingError: if barrier jobs are asked for, and Spark refuses them.
        RefusedError: if ``gang_size`` is given for an elastic pool.
    """
    dynamic = allocates_dynamically(session)
    if dynamic and elastic is False:
        raise SparkSettingError(
            f"{DYNAMIC} is true, and elastic=False asks for barrier jobs, which Spark refuses then"
            " (SPARK-24942). Leave elastic out, so that workers come and go with executors, or set"
            f" {DYNAMIC} to false and spark.executor.instances (or your platform's cluster size) to what the"
            " search may use."
        )
    chosen = dynamic or _autoscales(session) if elastic is None else elastic
    if chosen and gang_size is not None:
        raise RefusedError(
            f"gang_size={gang_size} is about barrier jobs, and this pool is elastic: each worker has a job of"
            " its own. Leave gang_size out, or set elastic=False on a cluster of a fixed size."
        )
    return chosen


def allocates_dynamically(session: Session) -> bool:
    """Returns whether Spark asks for executors, and gives them back, by the tasks that wait."""
    # Spark itself ignores dynamic allocation on a local master, except in its own tests.
    applies = not is_local(session) or _is_true(session, "spark.dynamicAllocation.testing")
    return applies and _is_true(session, DYNAMIC)


def _autoscales(session: Session) -> bool:
    return setting(session, _SCALING).lower() == "autoscaling"


def most_tasks(session: Session, profile: Profile | None) -> int | None:
    """The most tasks that Spark may ever run at once for an elastic pool; None if nothing limits them.

    Args:
        session: where they run.
        profile: the resources that each of them needs.
    """
    if is_local(session):
        return spark.slots(session, profile)
    executors = most_executors(session)
    each = None if executors is None else spark.slots_of_executor(session, profile)
    return None if executors is None or each is None else executors * each


def most_executors(session: Session) -> int | None:
    """The most executors that Spark may ever have; None if nothing limits them."""
    if allocates_dynamically(session):
        text = setting(session, _MOST)
    elif _autoscales(session):
        text = setting(session, _MOST_ON_DATABRICKS)
    else:
        return None
    most = int(text) if text.isdigit() else _UNLIMITED
    return most if most < _UNLIMITED else None


def _is_true(session: Session, key: str) -> bool:
    return setting(session, key, "false").lower() == "true"
