"""Searches over http whose store has no time, cuts connections or is away: nothing is lost or doubled."""

from __future__ import annotations

import itertools

import pytest

from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrackingWarning
from sparkopt.tracking import delivery
from tests.support.store_proxy import LOST, REFUSED
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import children, main_runs

TRIALS = 10

CONCERNED = ("runs/create", "log-batch", "runs/update")
"""Calls that write."""


def search(spark):
    trials = SparkTrials(2, spark_session=spark, tracking=True)
    fmin(lambda case: case, CASE, in_order, TRIALS, trials=trials, verbose=False)


def check_all(client):
    (main,) = main_runs(client)
    found = children(client, main)
    assert main.info.status == "FINISHED"
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {
        tid: tid for tid in range(TRIALS)
    }
    assert {run.info.status for run in found.values()} == {"FINISHED"}
    history = client.get_metric_history(main.info.run_id, "best_loss")
    assert [each.step for each in sorted(history, key=lambda each: each.step)] == list(range(1, TRIALS + 1))
    return found


@pytest.fixture
def quick(monkeypatch):
    """Pauses between tries that are shorter."""
    for name in ("_FIRST_PAUSE", "_LONGEST_PAUSE", "_LIMITED_PAUSE"):
        monkeypatch.setattr(delivery, name, 0.01)


@pytest.mark.parametrize(
    "answer", [(429, {"retry-after": "1"}), (503, {"retry-after": "1"}), LOST, REFUSED], ids=str
)
def test_what_a_store_has_no_time_for_comes_later(spark, client_behind_proxy, proxy, quick, answer):
    count = itertools.count()

    def busy(asked):
        # Every third call of what concerns trials.
        concerned = any(each in asked.path for each in CONCERNED)
        return answer if concerned and next(count) % 3 == 2 else None

    proxy.intercept = busy
    search(spark)
    check_all(client_behind_proxy)


def test_mlflow_itself_heeds_the_pause_that_a_store_asks_for(spark, client_behind_proxy, proxy, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "5")
    refusals = iter([True] * 4)
    proxy.intercept = lambda asked: (
        (429, {"retry-after": "1"}) if "log-batch" in asked.path and next(refusals, False) else None
    )
    search(spark)
    check_all(client_behind_proxy)


def test_an_outage_loses_nothing(spark, client_behind_proxy, proxy, quick):
    """As many tries in a row as 30 s of outage have, and more, in each of the runs that are written."""
    away = iter([True] * 60)
    proxy.intercept = lambda asked: (
        REFUSED if any(each in asked.path for each in CONCERNED[1:]) and next(away, False) else None
    )
    search(spark)
    assert next(away, None) is None
    check_all(client_behind_proxy)


def test_a_run_that_somebody_deletes_costs_no_other(spark, client_behind_proxy, proxy):
    deleted = []

    def delete(asked):
        body = asked.body.decode(errors="replace")
        if "log-batch" in asked.path and not deleted and '"loss"' in body and '"best_loss"' not in body:
            (main,) = main_runs(client_behind_proxy)
            for run in children(client_behind_proxy, main).values():
                if run.info.run_id in body:
                    deleted.append(int(run.data.tags["tid"]))
                    client_behind_proxy.delete_run(run.info.run_id)

    proxy.intercept = delete
    with pytest.warns(TrackingWarning, match="records are not in the tracking store .*deleted"):
        search(spark)
    (main,) = main_runs(client_behind_proxy)
    found = children(client_behind_proxy, main)
    assert sorted([*found, *deleted]) == list(range(TRIALS))
    assert {tid: run.data.metrics["loss"] for tid, run in found.items()} == {tid: tid for tid in found}
    assert {run.info.status for run in [main, *found.values()]} == {"FINISHED"}
