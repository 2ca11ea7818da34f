"""What a session of Spark Connect needs for tests.

A process has either classic sessions or those of Spark Connect; the tests' own process has a classic one.
"""

from __future__ import annotations

FREE_PORT = {"SPARK_TESTING": "1"}
"""In the environment, it has PySpark's own server listen at a free port, so that several may run at once.

Spark takes it for more than that: it then pretends to be able to schedule by profiles, for one.
"""

OFF = {
    "spark.ui.enabled": "false",
    "spark.log.level": "OFF",
    "spark.databricks.mlflow.trackHyperopt.enabled": "false",
}
"""Spark's settings for the scripts."""
