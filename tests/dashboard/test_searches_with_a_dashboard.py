"""``SparkTrials(dashboard=True)``: a process of its own that shows each search, and ends with its owner."""

from __future__ import annotations

import gc
import os
import pickle
import sys

import psutil
import pytest
from hyperopt import hp, rand

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.control.dashboard_process import DashboardProcess
from sparkopt.errors import ControlWarning, RefusedError
from tests.dashboard.test_followed_pools import until
from tests.dashboard.visitor import Visitor
from tests.support.processes import started

SPACE = {"x": hp.uniform("x", -1, 1), "kind": hp.choice("kind", ["round", "square"])}


def search(trials, evals=3):
    return fmin(lambda point: point["x"] ** 2, SPACE, rand.suggest, evals, trials=trials, verbose=False)


def visitor_of(link):
    visitor = Visitor(link.partition("?")[0])
    assert visitor.open(link).status == 303
    return visitor


def ended(process):
    return psutil.wait_procs([process], timeout=30)[1] == []


def test_searches_are_shown_by_one_process_that_outlives_them(new_trials, capsys):
    trials = new_trials(dashboard=True)
    before = {*psutil.Process().children()}
    search(trials)
    link = trials.dashboard_link
    assert capsys.readouterr().out == f"dashboard: {link}\n"
    visitor = visitor_of(link)
    best = min(trials.losses())
    # The end of the pool reaches it a moment after it reaches fmin.
    closed = until(
        lambda: visitor.ask("/search/state").json["searches"][0], lambda search: search["state"] == "closed"
    )
    assert (closed["state"], closed["studies"][0]["trials"]["ok"]) == ("closed", 3)
    study = visitor.ask("/api/studies/0").json
    assert study["best_trials"][0]["values"] == [best]
    space = {each["name"]: each["distribution"] for each in study["union_search_space"]}
    assert (space["x"]["type"], space["x"]["low"], space["x"]["high"]) == ("FloatDistribution", -1.0, 1.0)
    assert {each["value"] for each in space["kind"]["choices"]} == {"round", "square"}
    search(trials, 4)
    assert capsys.readouterr().out == ""
    assert trials.dashboard_link == link
    assert len(visitor.ask("/api/studies").json["study_summaries"]) == 2
    (process,) = {*psutil.Process().children()} - before
    assert trials.dashboard_link not in " ".join(process.cmdline())
    again = pickle.loads(pickle.dumps(trials))
    assert again.dashboard_link is None
    trials.close_dashboard()
    assert ended(process)
    assert trials.dashboard_link is None


@pytest.mark.slow
def test_it_ends_with_its_trials():
    dashboard = DashboardProcess("127.0.0.1:0")
    assert dashboard.link().startswith("http://127.0.0.1:")
    process = psutil.Process(dashboard._process.pid)
    del dashboard
    gc.collect()
    assert ended(process)


@pytest.mark.slow
def test_it_ends_with_the_process_that_began_it_however_that_ends():
    script = (
        "import os, sys; from sparkopt.control.dashboard_process import DashboardProcess;"
        " dashboard = DashboardProcess('127.0.0.1:0'); assert dashboard.link();"
        " print(dashboard._process.pid, flush=True); sys.stdin.read()"
    )
    with started([sys.executable, "-c", script], stdin=-1, stdout=-1, env=os.environ) as owner:
        process = psutil.Process(int(owner.stdout.readline()))
        owner.kill()
    assert ended(process)


@pytest.mark.slow
def test_a_port_that_is_taken_is_said_and_harms_no_search(new_trials, make_served):
    taken = make_served().dashboard.url.split("/")[2]
    trials = new_trials(dashboard=taken)
    with pytest.warns(ControlWarning, match="cannot listen at"):
        search(trials)
    assert trials.count_successful_trials() == 3
    assert trials.dashboard_link is None
    trials.close_dashboard()


@pytest.mark.slow
def test_the_search_of_a_shared_pool_is_shown(spark):
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        trials = SparkTrials(pool=pool, dashboard=True)
        search(trials, 2)
        (shown,) = visitor_of(trials.dashboard_link).ask("/search/state").json["searches"]
        assert (shown["title"], shown["state"]) == (pool.control_address, "following")
        trials.close_dashboard()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"dashboard": 8080}, "dashboard must be True, False or host:port"),
        ({"dashboard": "8080"}, "dashboard cannot be at '8080'"),
        ({"dashboard": True, "control": False}, "leave control=False out"),
    ],
)
def test_what_makes_no_sense_is_refused(new_trials, arguments, message):
    with pytest.raises(RefusedError, match=message):
        new_trials(**arguments)


def test_what_is_lacking_is_named(new_trials, monkeypatch):
    monkeypatch.setattr("sparkopt.control.dashboard_process._NEEDED", ("optuna", "no_such_package"))
    with pytest.raises(RefusedError, match=r"no_such_package.*'sparkopt\[dashboard\]'"):
        new_trials(dashboard=True)
