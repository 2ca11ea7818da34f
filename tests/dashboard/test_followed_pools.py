"""A dashboard of a pool with real workers: what it shows of trials, and what somebody may do on it."""

from __future__ import annotations

import json
import threading
import time

import pytest

from sparkopt import ControlClient
from sparkopt.client import EventKind
from tests.dashboard.visitor import SECONDS


def meeting(path):
    """An objective that reports, meets the test, and returns what it is told to."""

    def objective(point):
        import json
        import os
        import socket

        import sparkopt

        sparkopt.report(10.0 * point["x"], 1)
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            said = {"word": str(point["x"]), "pid": os.getpid(), "parent": os.getppid()}
            sock.sendall(json.dumps(said).encode() + b"\n")
            word = sock.recv(100).decode()
        if word == "fail":
            raise ValueError("told to fail")
        return float(word)

    return objective


class Driven:
    """An evaluation whose points are sent from a thread of its own."""

    def __init__(self, rig):
        self.name = rig.evaluation(meeting(rig.post.path)).name
        self.client = ControlClient(rig.server.address, token=rig.server.token)
        self.events = self.client.watch(after=0)
        self._threads = []

    def send(self, *points):
        thread = threading.Thread(target=lambda: list(self.client.evaluate(points)))
        thread.start()
        self._threads.append(thread)

    def until(self, kind):
        for event in self.events:
            if event.kind is kind:
                return event
        raise AssertionError("the pool has closed")

    def close(self):
        for thread in self._threads:
            thread.join(SECONDS)
            assert not thread.is_alive()
        self.events.close()
        self.client.close()


@pytest.fixture
def workers(rig):
    return rig.work(0, 1)


@pytest.fixture
def driven(rig):
    """An evaluation, whose points run if there are workers."""
    opened = Driven(rig)
    yield opened
    opened.close()


def until(look, holds):
    """Ask again until the answer is as it should be; says what it is."""
    deadline = time.monotonic() + SECONDS
    while not holds(found := look()):
        assert time.monotonic() < deadline, found
    return found


def searched(visitor):
    (search,) = visitor.ask("/search/state").json["searches"]
    return search


def test_trials_are_shown_as_they_run_and_end(rig, workers, driven, followed):
    visitor = followed.visitor(headers={"Accept-Encoding": "gzip"})
    driven.send({"x": 1, "kind": "round"}, {"x": 2, "kind": "square"})
    visits = rig.post.visits(2)
    reported = until(
        lambda: searched(visitor),
        lambda search: [worker["value"] for worker in search["workers"]].count(None) == 0,
    )
    assert reported["trials"]["leased"] == 2
    shown = {
        worker["tid"]: (worker["state"], worker["value"], worker["step"]) for worker in reported["workers"]
    }
    assert shown == {0: ("busy", 10.0, 1), 1: ("busy", 20.0, 1)}
    (study,) = visitor.ask("/api/studies").json["study_summaries"]
    assert (study["study_name"], study["directions"]) == (driven.name, ["minimize"])
    assert reported["studies"][0]["number"] == study["study_id"]
    trials = visitor.ask("/api/studies/0").json["trials"]
    assert [(trial["state"], trial["intermediate_values"]) for trial in trials] == [
        ("Running", [{"step": 1, "value": 10.0}]),
        ("Running", [{"step": 1, "value": 20.0}]),
    ]
    visits["1"].answer("0.25")
    visits["2"].answer("fail")
    assert {driven.until(EventKind.SETTLED).trial.tid for _ in range(2)} == {0, 1}
    ended = until(
        lambda: visitor.ask("/api/studies/0").json,
        lambda study: "Running" not in [trial["state"] for trial in study["trials"]],
    )
    best, failed = ended["trials"]
    assert (best["state"], best["values"], failed["state"]) == ("Complete", [0.25], "Fail")
    assert {param["name"]: param["param_external_value"] for param in best["params"]} == {
        "x": "1",
        "kind": "round",
    }
    notes = {each["key"]: each["value"] for each in failed["user_attrs"]}
    assert notes["error"] == "ValueError: told to fail"
    assert [trial["number"] for trial in ended["best_trials"]] == [0]
    csv = visitor.ask("/csv/0")
    assert csv.status == 200
    assert "0.25" in csv.text


def test_a_search_is_paused_resized_cancelled_and_stopped_on_the_page(rig, workers, driven, followed):
    visitor = followed.visitor()
    pool = searched(visitor)["pool"]
    assert visitor.act(pool=pool, do="pause").status == 401
    assert visitor.open(followed.dashboard.link).status == 303
    assert visitor.act(pool=pool, do="pause").status == 200
    assert searched(visitor)["paused"]
    assert driven.until(EventKind.PAUSED)
    assert visitor.act(pool=pool, do="resume").status == 200
    assert visitor.act(pool=pool, do="parallelism", parallelism=1).status == 200
    assert searched(visitor)["parallelism"] == 1
    assert driven.until(EventKind.LIMIT_CHANGED).parallelism == 1
    driven.send({"x": 1}, {"x": 2})
    assert rig.post.visit().word == "1"
    assert visitor.act(pool=pool, do="cancel", study=driven.name, tid=0).status == 200
    cancelled = driven.until(EventKind.SETTLED).trial
    assert (cancelled.state, cancelled.reason) == ("cancelled", "cancelled on the dashboard")
    visit = rig.post.visit()
    assert visitor.act(pool=pool, do="finish", study=driven.name).status == 200
    visit.answer("3")
    assert driven.until(EventKind.SETTLED).trial.loss == 3.0


def test_what_the_service_refuses_is_said(followed, rig, driven):
    visitor = followed.visitor()
    visitor.open(followed.dashboard.link)
    pool = searched(visitor)["pool"]
    too_many = visitor.act(pool=pool, do="parallelism", parallelism=3)
    assert (too_many.status, "parallelism" in too_many.text) == (400, True)
    assert visitor.act(pool=pool, do="parallelism", parallelism="many").status == 400
    assert visitor.act(pool=pool, do="cancel", study=driven.name, tid=77).status == 404
    assert visitor.act(pool=pool, do="cancel", study=driven.name).status == 400
    assert visitor.act(pool=pool, do="shut down").status == 400
    assert visitor.act(pool="another", do="pause").status == 400
    assert visitor.act(do="pause").status == 400


def test_the_read_only_token_permits_to_look_alone(rig, make_served, driven):
    token = rig.server.read_only_token
    served = make_served()
    served.dashboard.follow(rig.server.address, ControlClient(rig.server.address, token=token), token)
    visitor = served.visitor()
    visitor.open(served.dashboard.link)
    answer = visitor.act(pool=searched(visitor)["pool"], do="pause")
    assert answer.status == 403
    assert "read-only" in answer.text
    assert not driven.client.status().paused


def test_nothing_of_optunas_dashboard_can_be_written_to(make_served):
    served = make_served()
    served.dashboard.mirror.add_study("pool", "fmin-1")
    visitor = served.visitor()
    visitor.open(served.dashboard.link)
    more = {"Origin": visitor.origin, "Content-Type": "application/json"}
    body = json.dumps({"study_name": "mine", "directions": ["minimize"]}).encode()
    for method, path in [
        ("DELETE", "/api/studies/0"),
        ("POST", "/api/studies"),
        ("POST", "/api/studies/0/rename"),
        ("PUT", "/api/studies/0/note"),
        ("POST", "/api/trials/0/tell"),
    ]:
        assert visitor.ask(path, method, body, **more).status == 405
    (study,) = visitor.ask("/api/studies").json["study_summaries"]
    assert study["study_name"] == "fmin-1"


def test_a_dashboard_that_comes_late_shows_what_was(rig, workers, driven, make_served):
    driven.send({"x": 3})
    rig.post.visit().answer("0.5")
    driven.until(EventKind.SETTLED)
    served = make_served()
    token = rig.server.token
    served.dashboard.follow(rig.server.address, ControlClient(rig.server.address, token=token), token)
    visitor = served.visitor()
    studies = until(lambda: visitor.ask("/api/studies").json["study_summaries"], bool)
    assert [study["study_name"] for study in studies] == [driven.name]
    (trial,) = until(lambda: visitor.ask("/api/studies/0").json["trials"], bool)
    assert (trial["state"], trial["values"]) == ("Complete", [0.5])


def test_a_dashboard_that_comes_late_shows_the_intermediate_values_so_far(rig, workers, driven, make_served):
    driven.send({"x": 1}, {"x": 3})
    visits = rig.post.visits(2)
    visits["3"].answer("0.5")
    driven.until(EventKind.SETTLED)
    served = make_served()
    token = rig.server.token
    served.dashboard.follow(rig.server.address, ControlClient(rig.server.address, token=token), token)
    visitor = served.visitor()
    until(lambda: visitor.ask("/api/studies").json["study_summaries"], bool)
    trials = until(lambda: visitor.ask("/api/studies/0").json["trials"], lambda trials: len(trials) == 2)
    assert [trial["intermediate_values"] for trial in trials] == [
        [{"step": 1, "value": 10.0}],
        [{"step": 1, "value": 30.0}],
    ]
    # Either worker may have the trial that runs.
    assert sorted((worker["value"] for worker in searched(visitor)["workers"]), key=str) == [10.0, None]
    visits["1"].answer("1.0")
    driven.until(EventKind.SETTLED)


def test_a_pool_that_has_closed_is_still_shown(rig, workers, driven, followed):
    visitor = followed.visitor()
    visitor.open(followed.dashboard.link)
    driven.send({"x": 3})
    rig.post.visit().answer("0.5")
    driven.until(EventKind.SETTLED)
    until(lambda: visitor.ask("/api/studies").json["study_summaries"], bool)
    driven.close()
    rig.close()
    closed = until(lambda: searched(visitor), lambda search: search["state"] != "following")
    assert (closed["state"], closed["trouble"], closed["workers"]) == ("closed", "", [])
    (study,) = closed["studies"]
    assert (study["ended"], study["trials"]["ok"], study["best_value"]) == (True, 1, 0.5)
    (trial,) = visitor.ask("/api/studies/0").json["trials"]
    assert trial["values"] == [0.5]
    assert visitor.act(pool=closed["pool"], do="pause").status in (502, 409)


def test_pages_lead_to_each_other(followed, rig, driven):
    visitor = followed.visitor()
    page = visitor.ask("/")
    assert page.status == 200
    assert 'href="/dashboard"' in page.text
    assert visitor.ask("/search/page.js").headers["content-type"] == "text/javascript; charset=utf-8"
    plots = visitor.ask("/dashboard/studies/0", If_Modified_Since="Fri, 01 Jan 2100 00:00:00 GMT")
    assert plots.status == 200
    assert plots.text.count('<a href="/"') == 1
    assert "unsafe-eval" in plots.headers["content-security-policy"]
    bundle = visitor.ask("/static/bundle.js", Accept_Encoding="gzip")
    assert bundle.headers["content-encoding"] == "gzip"
    assert len(bundle.raw) < 3_000_000 < len(bundle.text)
