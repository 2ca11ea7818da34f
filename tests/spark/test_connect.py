"""A session of Spark Connect: what it tells, what is assumed, what is refused, and how searches on it end."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pyspark
import pytest

from sparkopt.errors import RefusedError
from sparkopt.spark import connect
from sparkopt.spark.session import bind_address
from tests.spark import connect_cluster, connect_scenarios
from tests.support.cluster import Cluster
from tests.support.connect_session import HOME, NO_SERVER, OFF, OTHER_HOME, needs_connect
from tests.support.paths import python_path
from tests.support.scripts import run_script

pytestmark = pytest.mark.timeout(300)

SINCE_4 = int(pyspark.__version__.partition(".")[0]) >= 4

UNKNOWN = (
    rf"Spark Connect of PySpark {re.escape(pyspark.__version__)} does not tell whether .* If it has not, .*"
    r" 2 are needed at once, and it was taken to have 2; .* If it has, .* connect to 1\S+:\d+, .*"
    r" spark.sparkopt.driver.host"
)
"""Reason of a start that fails before 4.0, where nothing tells whether the tasks have started."""

UNTOLD = "" if SINCE_4 else r" PySpark \S+ does not learn how many tasks Spark has started .*"

ASSUMED = (
    r"SparkoptWarning: Spark Connect does not tell .* 2 tasks at once, .* at 127\.0\.0\.1 .* another address"
    rf"\)\.{UNTOLD} If no worker has come up after 60 s"
)


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """What each scenario has said; they share a process."""
    if OTHER_HOME == "":
        pytest.skip(NO_SERVER)
    return run_script(Path(connect_scenarios.__file__), tmp_path_factory.mktemp("connect"))


def test_what_the_session_tells(said):
    told = said["told"]
    assert (told["default"], told["slots"], told["host"]) == (2, 2, "127.0.0.1")
    assert (told["none"], told["five"]) == (2, 2)
    assert "parallelism=None means Spark's default parallelism, which is 2" in told["warnings"][0]
    assert "5 is more than the 2 tasks that Spark can run at once" in told["warnings"][1]


def test_searches_with_a_journal_and_on_a_pool(said):
    searches = said["searches"]
    assert searches["journal"] == [0, 1, 4, 9, 16, 25]
    assert searches["shared"] == [[0, 1, 4, 9]] * 2


def test_an_objective_beside_the_script_runs(said):
    assert said["own_modules"]["losses"] == [0, 1, 4]


def test_the_start_says_what_it_assumed(said):
    starts = [line for line in said["searches"]["warnings"] if line.startswith("SparkoptWarning")]
    assert len(starts) == 3  # hyperopt 0.2.7 gives warnings of its own on Python 3.12
    for start in starts:
        assert re.match(ASSUMED, start)


def test_the_session_is_found_in_another_thread(said):
    assert said["in_another_thread"]["losses"] == [0, 1, 4]


def test_a_trial_that_takes_too_long_fails(said):
    took = said["a_trial_that_takes_too_long"]
    assert (took["losses"], took["failed"]) == ([0, 2], 1)


@pytest.mark.parametrize(
    ("scenario", "what"),
    [
        ("uses_the_session", "it holds a SparkSession of pyspark.sql.connect.session .as 'session'"),
        ("uses_a_function_of_spark", "it uses pyspark.sql.functions"),
        ("holds_a_frame", "it holds a DataFrame of pyspark.sql.connect"),
        ("makes_a_session", "it uses pyspark.sql.connect.session.SparkSession"),
    ],
)
def test_objectives_that_use_spark_are_refused(said, scenario, what):
    assert said[scenario]["error"] == "SparkInObjectiveError"
    assert re.search(what, said[scenario]["text"])


def test_a_profile_that_spark_cannot_schedule_by_is_left_out_and_before_4_0_any_is_refused(said):
    profiled = said["a_profile"]
    if not SINCE_4:
        assert profiled["error"] == "RefusedError"
        assert f"before Spark 4.0, and this client has {pyspark.__version__}: leave it" in profiled["text"]
        return
    assert profiled["profile"] is None
    assert "resource_profile is not used" in profiled["warnings"][0]
    assert profiled["losses"] == [0, 1]


def test_workers_that_do_not_come_up_are_cancelled(said):
    held = said["slots_that_another_job_holds"]
    assert held["error"] == "PoolStartError"
    assert re.search(
        "no worker came up within 1 s. 2 slots are needed at once. It was taken .* started none of the tasks"
        if SINCE_4
        else f"no worker came up within 1 s. {UNKNOWN}",
        held["text"],
    )
    assert held["losses"] == [0, 1]  # of a search that had room afterwards


def test_workers_that_do_not_get_through_are_told_from_those_that_do_not_come_up_if_spark_tells(said):
    lost = said["an_address_that_leads_nowhere"]
    assert lost["error"] == "PoolStartError"
    assert re.search(
        r"Spark runs 2 of the 2 tasks.* connect to 192.0.2.77:\d+: .* spark.sparkopt.driver.host"
        if SINCE_4
        else f"no worker came up within 3 s. {UNKNOWN}",
        lost["text"],
    )


def test_a_worker_that_is_killed_comes_back_with_its_gang(said):
    killed = said["a_worker_that_is_killed"]
    assert (killed["trials"], killed["failed"], killed["generations"]) == (20, 0, [1, 2])


def test_another_job_has_a_slot_while_the_last_trial_runs(said):
    released = said["workers_that_are_not_needed_any_more"]
    assert (released["counted"], released["done"], released["losses"]) == (7, False, [0, 1, 2])


@pytest.mark.parametrize(
    ("scenario", "why"),
    [("interrupted", "its Spark job was cancelled"), ("stopped", "the Spark session .* was stopped")],
)
def test_whoever_ends_the_workers_ends_the_search(said, scenario, why):
    ended = said[scenario]
    assert ended["error"] == "PoolCancelledError"
    assert re.search(f"the workers are gone: {why}", ended["text"])
    assert (ended["done"], ended["cancelled"]) == (2, 1)


def test_a_session_that_was_stopped_is_refused(said):
    given = said["stopped"]["given"]
    assert given["error"] == "RefusedError"
    assert "was stopped: use one that runs" in given["text"]


# On a cluster.


@pytest.mark.slow
@needs_connect
def test_a_gang_that_loses_an_executor_goes_on_with_what_is_left(tmp_path):
    with Cluster(daemons=2, cores=2, home=HOME) as cluster:
        # Its executor does not outlive it, and nobody starts another.
        settings, victim = json.dumps({**cluster.settings(), **OFF}), str(cluster.daemons[1].pid)
        said = run_script(Path(connect_cluster.__file__), tmp_path, settings, victim)
    assert said == {"connect": True, "trials": 30, "failed": 0, "sizes": [4, 2]}


# Without a server.

WITHOUT = """
from sparkopt.errors import RefusedError
from sparkopt.spark.session import get_session
try:
    get_session(settings={"spark.ui.enabled": "false"}, remote="local[1]")
except RefusedError as error:
    print(error)
"""


def test_a_pyspark_that_has_no_server_to_start_says_so(tmp_path):
    """PySpark 3.5 has none; of a newer one it is left out."""
    home, there = tmp_path / "spark", Path(pyspark.__file__).parent
    (home / "jars").mkdir(parents=True)
    (home / "bin").symlink_to(there / "bin")
    for jar in there.glob("jars/*.jar"):
        if not jar.name.startswith("spark-connect_"):
            (home / "jars" / jar.name).symlink_to(jar)
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT],
        env={
            **os.environ,
            "SPARK_HOME": str(home),
            "PYTHONPATH": python_path(),
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert re.match(
        rf"'local\[1\]' is to start a server of Spark Connect, which this PySpark"
        rf" \({re.escape(pyspark.__version__)}\) comes without\..*sc://host:port"
        r".*--packages org.apache.spark:spark-connect_2.1\d:",
        done.stdout,
    ), done.stderr


class Session:
    """Settings and a server's address, as a session of Spark Connect has them."""

    def __init__(self, server="127.0.0.1", default=None, **settings):
        self.conf = {key.replace("_", "."): value for key, value in settings.items()}
        self.client = type("Client", (), {"host": server})()
        self._default = default

    def range(self, end):
        return self

    def _explain_string(self):
        return f"== Physical Plan ==\n*(1) Range (0, 1, step=1, splits={self._default})\n"


@pytest.mark.parametrize(
    ("session", "slots"),
    [
        (Session(spark_master="local"), 1),
        (Session(spark_master="local[3]"), 3),
        (Session(spark_master="local[3,2]", default=7), 3),
        (Session(spark_master="local[*]", default=7), 7),
        (Session(spark_master="spark://there:7077", default=7), 7),
        (Session(spark_master="spark://there:7077", default=7, spark_task_cpus="2"), 3),
        (Session(spark_master="spark://there:7077", default=7, spark_default_parallelism="99"), None),
        (
            Session(spark_master="spark://there:7077", default=7, spark_sql_leafNodeDefaultParallelism="9"),
            None,
        ),
    ],
)
def test_slots_are_taken_from_the_master_or_the_default_parallelism(session, slots):
    assert connect.slots(session, None) == slots


@pytest.mark.parametrize(
    ("session", "host"),
    [
        (Session(spark_master="local[2]", spark_driver_host="192.0.2.7"), "127.0.0.1"),
        (Session(spark_master="spark://there:7077", spark_driver_host="192.0.2.7"), "192.0.2.7"),
        (Session(spark_master="local[2]", spark_sparkopt_driver_host="driver.example"), "driver.example"),
    ],
)
def test_the_address_by_which_executors_reach_this_process(session, host):
    assert connect.driver_host(session) == host


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"spark_driver_host": "192.0.2.7"}, "192.0.2.7"),
        ({"spark_driver_host": "192.0.2.7", "spark_driver_bindAddress": "0.0.0.0"}, "0.0.0.0"),
        ({"spark_sparkopt_driver_host": "driver.example"}, "driver.example"),
        (
            {
                "spark_sparkopt_driver_host": "driver.example",
                "spark_sparkopt_driver_bindAddress": "10.0.0.1",
            },
            "10.0.0.1",
        ),
    ],
)
def test_the_address_that_this_process_listens_at(settings, address):
    assert connect.bind_address(Session(spark_master="spark://there:7077", **settings)) == address


@pytest.mark.parametrize(
    ("settings", "address"),
    [
        ({"spark_master": "local[2]", "spark_driver_bindAddress": "203.0.113.9"}, "127.0.0.1"),
        ({"spark_driver_host": "127.0.0.1"}, "127.0.0.1"),
        ({"spark_driver_host": "[::1]"}, "::1"),
        ({"spark_driver_host": "driver.invalid", "spark_driver_bindAddress": "0.0.0.0"}, "0.0.0.0"),
    ],
)
def test_a_classic_session_tells_where_to_listen(settings, address):
    assert bind_address(Session(**{"spark_master": "spark://there:7077", **settings})) == address


@pytest.mark.parametrize("host", ["203.0.113.9", "driver.invalid", "-", "x" * 300, "[203.0.113.9"])
def test_a_host_of_another_machine_is_no_place_to_listen(host):
    session = Session(spark_master="spark://there:7077", spark_driver_host=host)
    with pytest.raises(
        RefusedError, match=r"not an address or name of this machine.*spark\.driver\.bindAddress"
    ):
        bind_address(session)


def test_a_server_that_there_is_no_way_to():
    with pytest.raises(RefusedError, match=r"no IPv4 route to .*nowhere.invalid.*spark.sparkopt"):
        connect.driver_host(Session("nowhere.invalid", spark_master="yarn"))
