"""Trials of searches in an Optuna storage: as they are now, and no more work than what has changed."""

from __future__ import annotations

import datetime
import math

import pytest

from sparkopt.client import IntermediateValue, TrialInfo, TrialState
from sparkopt.dashboard.mirror import Mirror
from sparkopt.optuna.study_mirror import StudyMirror
from sparkopt.study.trial_description import Dimension

NOTHING = {"objective_values": (), "intermediate_values": {}}
AT = datetime.datetime(2026, 3, 4, 10, 15, tzinfo=datetime.timezone.utc)


def trial(tid, state=TrialState.PENDING, values=None, attempt=0, loss=None, **more):
    started = AT if attempt else None
    settled = AT + datetime.timedelta(seconds=tid) if state in ("ok", "failed", "pruned") else None
    worker, host = ("worker", "host") if attempt else ("", "")
    given = {"x": 0.5} if values is None else values
    about = {"seconds": 0.0, "reason": "", "request_id": "", "study": "fmin-1", **NOTHING, **more}
    return TrialInfo(
        *(about["study"], tid, state, given, attempt, worker, host, AT, started, settled),
        *(about["seconds"], loss, about["reason"], about["request_id"]),
        about["objective_values"],
        about["intermediate_values"],
    )


@pytest.fixture
def mirror():
    made = Mirror()
    made.add_study("pool", "fmin-1", [Dimension("x", "float", 0, 1)])
    return made


def shown(mirror, number=0):
    mirror.refresh()
    return mirror.storage.get_all_trials(number, deepcopy=False)


def test_a_trial_goes_on_and_never_back(mirror):
    mirror.take("pool", trial(0))
    assert [each.state.name for each in shown(mirror)] == ["WAITING"]
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=1))
    mirror.report("pool", IntermediateValue("fmin-1", 0, 1, 3, 7.5))
    assert [(each.state.name, each.intermediate_values) for each in shown(mirror)] == [("RUNNING", {3: 7.5})]
    assert mirror.running("pool")["fmin-1", 0].value.value == 7.5
    mirror.take("pool", trial(0, TrialState.OK, attempt=1, loss=0.25))
    # The list of trials and the watch overlap: what has settled is told again as it was before.
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=1))
    mirror.report("pool", IntermediateValue("fmin-1", 0, 1, 4, 8.5))
    (ended,) = shown(mirror)
    assert (ended.state.name, ended.value, ended.intermediate_values) == ("COMPLETE", 0.25, {3: 7.5})


def test_a_trial_that_is_told_again_as_running_after_it_settled_does_not_run(mirror):
    mirror.take("pool", trial(0, TrialState.OK, attempt=1, loss=0.25))
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=1))
    assert mirror.running("pool") == {}


def test_values_of_a_later_attempt_take_the_place_of_an_earlier_ones(mirror):
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=1))
    mirror.report("pool", IntermediateValue("fmin-1", 0, 1, 1, 7.0))
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=2))
    assert mirror.running("pool")["fmin-1", 0].value is None
    mirror.report("pool", IntermediateValue("fmin-1", 0, 1, 2, 8.0))
    mirror.report("pool", IntermediateValue("fmin-1", 0, 2, 1, 9.0))
    assert [each.intermediate_values for each in shown(mirror)] == [{1: 9.0}]


def test_each_study_of_each_pool_has_a_name_of_its_own(mirror):
    mirror.add_study("pool", "fmin-1")
    mirror.add_study("another", "fmin-1")
    mirror.add_study("another", "fmin-2")
    names = [
        mirror.shown_name(*key) for key in (("pool", "fmin-1"), ("another", "fmin-1"), ("another", "fmin-2"))
    ]
    assert names == ["fmin-1", "fmin-1 (2)", "fmin-2"]
    mirror.refresh()
    stored = {study._study_id: study.study_name for study in mirror.storage.get_all_studies()}
    assert {mirror.number_of(name): name for name in names} == stored
    assert mirror.shown_name("pool", "none") is None


def test_options_are_shown_in_words():
    mirror = Mirror()
    dimensions = [Dimension("kind", "choice", options=("svm", "forest"))]
    mirror.add_study("pool", "fmin-1", dimensions, frozenset({"kind"}))
    mirror.take("pool", trial(0, TrialState.OK, {"kind": 1}, 1, 0.5))
    mirror.take("pool", trial(1, TrialState.OK, {"kind": 7}, 1, 0.5))
    assert [each.params["kind"] for each in shown(mirror)] == ["forest", 7]


def test_ranges_that_nobody_has_told_grow_for_all_trials_at_once(monkeypatch):
    monkeypatch.setattr("sparkopt.dashboard.mirror._REMAKE_SECONDS", 0.0)
    mirror = Mirror()
    mirror.add_study("pool", "fmin-1")
    for tid, value in enumerate([1, 2.5, 2.0, 90.0]):
        mirror.take("pool", trial(tid, TrialState.OK, {"x": value}, 1, 0.5))
        trials = shown(mirror)
        assert len(trials) == tid + 1
        assert len({each.distributions["x"] for each in trials}) == 1
    distribution = trials[0].distributions["x"]
    assert (distribution.low <= 1, distribution.high >= 90) == (True, True)
    generation = mirror.generation
    assert generation > 0
    mirror.take("pool", trial(4, TrialState.OK, {"x": 89.0}, 1, 0.5))
    shown(mirror)
    assert mirror.generation == generation


def test_spread_over_orders_of_magnitude_is_seen(monkeypatch):
    monkeypatch.setattr("sparkopt.dashboard.mirror._REMAKE_SECONDS", 0.0)
    mirror = Mirror()
    mirror.add_study("pool", "fmin-1")
    for tid in range(5):
        mirror.take("pool", trial(tid, TrialState.OK, {"x": 3 * 10.0**-tid}, 1, 0.5))
        distribution = shown(mirror)[0].distributions["x"]
    assert (distribution.log, distribution.low, distribution.high) == (True, 1e-4, 10.0)


def test_what_runs_when_its_pool_goes_is_cancelled(mirror):
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=1))
    mirror.take("pool", trial(1))
    mirror.take("pool", trial(2, TrialState.OK, attempt=1, loss=0.5))
    mirror.ended("pool")
    assert mirror.running("pool") == {}
    summary = mirror.summary("pool", "fmin-1")
    assert (dict(summary.counts), summary.best_value, summary.best_tid) == ({"cancelled": 2, "ok": 1}, 0.5, 2)
    assert [each.state.name for each in shown(mirror)] == ["FAIL", "FAIL", "COMPLETE"]


def test_a_loss_that_is_no_number_is_not_the_best(mirror):
    mirror.take("pool", trial(0, TrialState.OK, attempt=1, loss=math.nan))
    mirror.take("pool", trial(1, TrialState.OK, attempt=1))
    assert mirror.summary("pool", "fmin-1").best_value is None


def test_values_of_several_objectives_are_shown_in_their_directions():
    mirror = Mirror()
    mirror.add_study("pool", "study", directions=("minimize", "maximize"))
    mirror.take("pool", trial(0, study="study"))
    mirror.take("pool", trial(0, TrialState.OK, attempt=1, study="study", objective_values=(0.5, -2.0)))
    mirror.take("pool", trial(1, TrialState.OK, attempt=1, study="study"))
    good, without = shown(mirror)
    assert (good.state.name, good.values, without.state.name) == ("COMPLETE", [0.5, -2.0], "FAIL")
    (study,) = mirror.storage.get_all_studies()
    assert [each.name for each in study.directions] == ["MINIMIZE", "MAXIMIZE"]
    assert mirror.summary("pool", "study").best_value is None


def test_a_study_that_maximizes_shows_values_as_its_objective_returned_them():
    mirror = Mirror()
    mirror.add_study("pool", "study", directions=("maximize",))
    for tid, value in enumerate([0.5, 2.0, 1.0]):
        about = {"study": "study", "loss": -value, "objective_values": (value,) if tid else ()}
        mirror.take("pool", trial(tid, TrialState.OK, attempt=1, **about))
    assert [each.value for each in shown(mirror)] == [0.5, 2.0, 1.0]
    summary = mirror.summary("pool", "study")
    assert (summary.best_value, summary.best_tid) == (2.0, 1)
    assert mirror.storage.get_best_trial(0).value == 2.0


def test_parameters_that_are_known_once_a_trial_has_begun(monkeypatch):
    monkeypatch.setattr("sparkopt.dashboard.mirror._REMAKE_SECONDS", 0.0)
    mirror = Mirror()
    mirror.add_study("pool", "fmin-1")
    for tid in range(3):
        mirror.take("pool", trial(tid, values={}))
        shown(mirror)
        mirror.take("pool", trial(tid, TrialState.LEASED, {"kind": "a"}, 1))
        shown(mirror)
        ended = {"kind": "a", "x": 10.0**-tid}
        mirror.take("pool", trial(tid, TrialState.OK, ended, 1, 0.5))
        assert [each.params for each in shown(mirror)][-1] == ended
    trials = shown(mirror)
    assert len({each.distributions["x"] for each in trials}) == 1
    assert [each.params["x"] for each in trials] == [1.0, 0.1, 0.01]


def test_values_from_before_are_shown_and_go_on(mirror):
    before = {"intermediate_values": {1: 7.0, 2: math.inf}}
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=2, **before))
    assert mirror.running("pool")["fmin-1", 0].value == IntermediateValue("fmin-1", 0, 2, 2, math.inf)
    mirror.report("pool", IntermediateValue("fmin-1", 0, 2, 3, 6.0))
    mirror.take("pool", trial(0, TrialState.LEASED, attempt=1))  # the watch begins before the list
    mirror.take("pool", trial(0, TrialState.OK, attempt=2, loss=0.25))
    assert [each.intermediate_values for each in shown(mirror)] == [{1: 7.0, 2: math.inf, 3: 6.0}]
    assert before == {"intermediate_values": {1: 7.0, 2: math.inf}}


def test_a_look_costs_what_has_changed(mirror, monkeypatch):
    taken = []
    take = StudyMirror.take

    def counting(self, trials):
        trials = list(trials)
        taken.append(len(trials))
        take(self, trials)

    monkeypatch.setattr(StudyMirror, "take", counting)
    for tid in range(1000):
        mirror.take("pool", trial(tid, TrialState.OK, {"x": tid / 1000}, 1, 0.5))
    shown(mirror)
    assert sum(taken) == 1000
    assert max(taken) <= 200  # nobody has to wait for a thousand
    taken.clear()
    mirror.take("pool", trial(1000, TrialState.LEASED, attempt=1))
    assert len(shown(mirror)) == 1001
    shown(mirror)
    assert taken == [1, 0]


def test_times_are_those_of_the_search_and_not_of_the_look(mirror):
    mirror.take("pool", trial(9))
    shown(mirror)
    mirror.take("pool", trial(9, TrialState.OK, attempt=1, loss=0.5))
    (ended,) = shown(mirror)
    assert ended.duration == datetime.timedelta(seconds=9)
    assert ended.datetime_start.timestamp() == AT.timestamp()
