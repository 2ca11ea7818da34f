"""Sessions of Spark Connect for tests: with a server of their own, or of another Spark if this one has none.

A process has either classic sessions or those of Spark Connect; the tests' own process has a classic one. So
a script has the session, and the server goes with it:

    PySpark 4.0 and newer    starts its server itself
    PySpark 3.5              has no server, and PyPI has no package of one: the variable
                             SPARKOPT_TESTS_CONNECT_HOME names the SPARK_HOME of a newer Spark, whose server
                             takes older clients; without it these tests are skipped
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pyspark
import pytest
from pyspark.sql import SparkSession

from sparkopt.spark.session import get_session, is_stopped

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

_HERE = Path(pyspark.__file__).parent

OTHER_HOME = (
    None if [*_HERE.glob("jars/spark-connect_*.jar")] else os.environ.get("SPARKOPT_TESTS_CONNECT_HOME", "")
)
"""Where the other Spark is; None if this one has a server, empty if there is none at all."""

NO_SERVER = f"PySpark {pyspark.__version__} has no server of Spark Connect: set SPARKOPT_TESTS_CONNECT_HOME"

needs_connect = pytest.mark.skipif(OTHER_HOME == "", reason=NO_SERVER)

HOME = Path(OTHER_HOME or _HERE)
"""The SPARK_HOME of whatever Spark a session of Spark Connect runs on."""

_LOGGING = """
rootLogger.level = off
rootLogger.appenderRef.errors.ref = errors
appender.errors.type = Console
appender.errors.name = errors
appender.errors.target = SYSTEM_ERR
appender.errors.layout.type = PatternLayout
appender.errors.layout.pattern = %m%n
logger.server.name = org.apache.spark.sql.connect.service.SparkConnectServer
logger.server.level = info
"""


@contextmanager
def connect_session(master: str, settings: dict[str, str]) -> Iterator[SparkSession]:
    """A session, and its server, in a process that has no other.

    Args:
        master: a local one, or a cluster's.
        settings: Spark's.
    """
    if OTHER_HOME is not None:
        with _server(master, settings) as address:
            yield from _stopped_after(get_session(remote=address))
        return
    local = master.startswith("local")
    if not local:
        os.environ["SPARK_API_MODE"] = "connect"
    yield from _stopped_after(
        get_session(settings={**settings, "spark.master": master}, remote=master if local else None)
    )


def _stopped_after(session: SparkSession) -> Iterator[SparkSession]:
    try:
        yield session
    finally:
        if not is_stopped(session):
            session.stop()


@contextmanager
def _server(master: str, settings: dict[str, str]) -> Iterator[str]:
    """A server of the other Spark."""
    logging = Path("log4j2.properties").absolute()
    logging.write_text(_LOGGING)
    given = {
        **{key: value for key, value in settings.items() if key != "spark.log.level"},
        "spark.connect.grpc.binding.port": "0",
        "spark.driver.extraJavaOptions": f"-Dlog4j2.configurationFile={logging}",
    }
    options = [word for key, value in given.items() for word in ("--conf", f"{key}={value}")]
    with subprocess.Popen(
        [
            *(HOME / "bin" / "spark-submit", "--master", master),
            *("--class", "org.apache.spark.sql.connect.service.SparkConnectServer"),
            *(*options, "spark-internal"),
        ],
        env={**os.environ, "SPARK_HOME": str(HOME)},
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr is not None
        found = (re.search(r"started at: .*:(\d+)$", line) for line in process.stderr)
        try:
            yield f"sc://127.0.0.1:{next(filter(None, found))[1]}"
        finally:
            process.terminate()
