"""Spark's settings, which both kinds of session tell."""

from __future__ import annotations

from pyspark.sql import SparkSession


def setting(session: SparkSession, key: str, default: str = "") -> str:
    """A Spark setting, as text."""
    # Without a default of ours: Spark checks that for a number where the setting is one.
    value = session.conf.get(key, None)
    return default if value is None else str(value)


def is_local(session: SparkSession) -> bool:
    """Returns whether the executors are on the machine of Spark's driver, and in or below its JVM."""
    master = setting(session, "spark.master")
    return master == "local" or master.startswith(("local[", "local-cluster"))
