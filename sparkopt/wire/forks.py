"""Refusal of Spark and gRPC in forked processes: a child cannot use those of its parent.

Sockets to Spark's JVM would be shared, threads are gone, and gRPC crashes. So whoever begins to use gRPC
says so with :func:`hold`, and what would use it, or Spark, in a forked child refuses with :func:`check`. A
child that was forked before anything of this came into being is a process like any other.
"""

from __future__ import annotations

import os
import sys

from sparkopt.errors import RefusedError


class _State:
    """Use of gRPC by this process, and of Spark or gRPC by the process that it was forked from."""

    holds = False
    inherited = False


def hold() -> None:
    """Say that this process uses gRPC from now on."""
    _State.holds = True


def is_child() -> bool:
    """Returns whether this process was forked from one that had used Spark or gRPC."""
    return _State.inherited


def check(what: str) -> None:
    """Refuse something in a process that was forked from one that had used Spark or gRPC.

    Args:
        what: it is, in a word or two.

    Raises:
        RefusedError: if this is such a process.
    """
    if _State.inherited:
        refuse(what)


def refuse(what: str) -> None:
    """Say why something cannot be used in a forked process.

    Raises:
        RefusedError: always.
    """
    raise RefusedError(
        f"{what} cannot be used in this process ({os.getpid()}): it was forked from one that had a Spark"
        " session or used gRPC, and neither works on in a forked child. Have the child started anew:"
        " multiprocessing.get_context('spawn'), or ProcessPoolExecutor(mp_context=...) with that. Or fork"
        " before there is a session, and make one in the child."
    )


def _has_session() -> bool:
    """Returns whether this process has a Spark session or its JVM; loads nothing for it."""
    classic = sys.modules.get("pyspark.core.context") or sys.modules.get("pyspark.context")
    if getattr(getattr(classic, "SparkContext", None), "_gateway", None) is not None:
        return True
    connect = getattr(sys.modules.get("pyspark.sql.connect.session"), "SparkSession", None)
    if getattr(connect, "_default_session", None) is not None:
        return True
    return getattr(getattr(connect, "_active_session", None), "session", None) is not None


def _after_fork() -> None:
    _State.inherited = _State.inherited or _State.holds or _has_session()
    _State.holds = False


os.register_at_fork(after_in_child=_after_fork)
