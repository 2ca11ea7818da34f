"""Which pools are elastic, how many workers Spark may have for them, and what is refused."""

from __future__ import annotations

import pytest

from sparkopt import SparkTrials, WorkerPool
from sparkopt.errors import (
    ArgumentTypeError,
    ArgumentValueError,
    ParallelismWarning,
    RefusedError,
    SparkSettingError,
)
from sparkopt.spark import elasticity
from sparkopt.spark.elasticity import decide_elastic, most_executors, most_tasks
from sparkopt.spark.parallelism import decide, decide_parallelism

DYNAMIC = "spark.dynamicAllocation"
TAGS = "spark.databricks.clusterUsageTags"


@pytest.fixture
def settings(spark):
    """Set what Spark would otherwise only take when it starts, and unset it after."""
    allow = "spark.sql.legacy.setCommandRejectsSparkCoreConfs"
    names = []

    def set_all(values):
        for name, value in values.items():
            spark.conf.set(name, value)
            names.append(name)

    spark.conf.set(allow, "false")
    yield set_all
    for name in names:
        spark.conf.unset(name)
    spark.conf.unset(allow)


@pytest.fixture
def on_cluster(monkeypatch):
    """Take the session for one on a cluster, whose executors run three tasks each."""
    monkeypatch.setattr(elasticity, "is_local", lambda session: False)
    monkeypatch.setattr("sparkopt.spark.session.slots_of_executor", lambda session, profile: 3)


def test_plain_sessions_have_barrier_jobs_unless_asked_otherwise(spark):
    assert decide_elastic(None, spark) is False
    assert decide_elastic(False, spark) is False
    assert decide_elastic(True, spark) is True


@pytest.mark.parametrize("text", ["true", "TRUE"])
@pytest.mark.usefixtures("on_cluster")
def test_pools_are_elastic_under_dynamic_allocation(spark, settings, text):
    settings({f"{DYNAMIC}.enabled": text})
    assert decide_elastic(None, spark) is True
    with pytest.raises(
        SparkSettingError, match=rf"{DYNAMIC}.enabled is true, and elastic=False.*SPARK-24942"
    ):
        decide_elastic(False, spark)


def test_spark_ignores_the_setting_on_a_local_master(spark, settings):
    settings({f"{DYNAMIC}.enabled": "true"})
    assert decide_elastic(None, spark) is False
    settings({f"{DYNAMIC}.testing": "true"})
    assert decide_elastic(None, spark) is True


@pytest.mark.parametrize(("kind", "elastic"), [("autoscaling", True), ("fixed_size", False), ("", False)])
def test_pools_are_elastic_on_a_databricks_cluster_that_autoscales(spark, settings, kind, elastic):
    settings({f"{TAGS}.clusterScalingType": kind})
    assert decide_elastic(None, spark) is elastic
    assert decide_elastic(False, spark) is False


@pytest.mark.usefixtures("on_cluster")
def test_the_most_that_spark_may_have_is_known_where_it_is_finite(spark, settings):
    assert (most_executors(spark), most_tasks(spark, None)) == (None, None)
    settings({f"{DYNAMIC}.enabled": "true"})
    assert (most_executors(spark), most_tasks(spark, None)) == (None, None)
    settings({f"{DYNAMIC}.maxExecutors": "2147483647"})  # Spark's default
    assert most_executors(spark) is None
    settings({f"{DYNAMIC}.maxExecutors": "4"})
    assert (most_executors(spark), most_tasks(spark, None)) == (4, 12)


@pytest.mark.usefixtures("on_cluster")
def test_that_of_databricks_too(spark, settings):
    settings({f"{TAGS}.clusterScalingType": "autoscaling", f"{TAGS}.clusterMaxWorkers": "8"})
    assert (most_executors(spark), most_tasks(spark, None)) == (8, 24)


def test_on_a_local_master_it_is_what_the_master_says(spark):
    assert most_tasks(spark, None) == 2


@pytest.mark.parametrize(
    ("asked", "most", "used", "reasons"),
    [
        (None, 12, 12, ["parallelism=None means as many tasks as Spark may ever run at once, which is 12"]),
        (None, 500, 128, ["which is 500", "500 is more than the limit of 128"]),
        (None, None, 6, ["Spark's default parallelism, which is 6"]),
        (5, 12, 5, []),
        (20, 12, 12, ["20 is more than the 12 tasks that Spark may ever run at once"]),
        (20, None, 20, []),
    ],
)
def test_the_parallelism_of_an_elastic_pool(asked, most, used, reasons):
    decided, why = decide(asked, 6, most, elastic=True)
    assert decided == (used, used)
    assert len(why.split("; ")) == max(1, len(reasons))
    for reason in reasons:
        assert reason in why


@pytest.mark.usefixtures("on_cluster")
def test_trials_and_pools_take_it(spark, settings):
    settings({f"{DYNAMIC}.enabled": "true", f"{DYNAMIC}.maxExecutors": "2"})
    with pytest.warns(ParallelismWarning, match="may ever run at once, which is 6"):
        assert SparkTrials(spark_session=spark).parallelism == 6
    with pytest.warns(ParallelismWarning, match="9 is more than the 6 tasks"):
        pool = WorkerPool(9, spark_session=spark)
    assert (pool.elastic, pool.parallelism) == (True, 6)


def test_barrier_pools_count_the_slots_of_now(spark):
    with pytest.warns(ParallelismWarning, match="the 2 tasks that Spark can run at once"):
        assert decide_parallelism(9, spark) == (2, 2)


def test_what_is_refused(spark):
    with pytest.raises(ArgumentTypeError, match="elastic must be None, True or False, got 'yes'"):
        SparkTrials(1, spark_session=spark, elastic="yes")
    with pytest.raises(RefusedError, match="gang_size=2 is about barrier jobs"):
        WorkerPool(2, spark_session=spark, elastic=True, gang_size=2)
    with pytest.raises(ArgumentValueError, match="idle_seconds must be None, as elastic=False"):
        WorkerPool(2, spark_session=spark, elastic=False, idle_seconds=9.0)
    with pytest.raises(RefusedError, match="elastic is the pool's: give it to WorkerPool"):
        SparkTrials(pool=WorkerPool(1, spark_session=spark), elastic=False)
