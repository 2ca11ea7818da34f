"""Intermediate values arrive once, in order, before the outcome, and wait for no study."""

from __future__ import annotations

import dataclasses
import math

import grpc
import numpy as np
import pytest

from sparkopt.core import events
from sparkopt.core.states import Outcome
from sparkopt.wire.v1 import trial_pb2
from sparkopt.wire.value_series import MOST_VALUES, ValueSeries
from tests.coordinator import meetings, value_objectives
from tests.coordinator.rig import Desk
from tests.support.proxy import Proxy


@pytest.fixture
def gathered():
    """Points of each trial, as the study sees them."""
    return {}


@pytest.fixture
def study_of(rig, gathered):
    """Opens a study of an objective whose values are gathered."""

    def study_of(objective, **settings):
        study = rig.study(objective, **settings)

        def take(values):
            gathered.setdefault(values.tid, []).extend(values.series)

        study.channel.on_values = take
        return study

    return study_of


def test_they_come_in_order_before_the_outcome_and_count_without_steps(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.follow)
    study.submit([(3.0,), (2.0,), (1.5, 10), (1.25,), (1.0, 5), (0.5, 5)], [(9,), (math.inf,), (-1.5,)], [])
    assert [study.result() for _ in range(3)] == ["done"] * 3
    assert gathered == {
        0: [(1, 3.0), (2, 2.0), (10, 1.5), (11, 1.25), (5, 1.0), (5, 0.5)],
        1: [(1, 9.0), (2, math.inf), (3, -1.5)],
    }


def test_they_come_while_the_trial_runs(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.follow)
    study.submit([(1.0,), rig.post.path, (math.nan,)])
    visit = rig.post.visit()
    while not gathered:
        study.channel.next_settled(0)
    assert gathered == {0: [(1, 1.0)]}
    visit.answer()
    assert study.result() == "done"
    step, value = gathered[0][1]
    assert (step, math.isnan(value)) == (2, True)


def test_a_flood_waits_for_no_study_and_is_whole_up_to_the_bound(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.flood)
    study.submit(MOST_VALUES)
    rig.heard(events.OutcomeArrived)  # the study has not looked once
    study.result()
    assert gathered[0] == [(number + 1, float(number)) for number in range(MOST_VALUES)]


def test_beyond_the_bound_they_are_thinned_and_the_last_one_stays(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.flood)
    study.submit(100_000)
    rig.heard(events.OutcomeArrived)
    study.result()
    points = gathered[0]
    assert len(points) <= MOST_VALUES
    assert points == sorted(points)
    assert points[-1] == (100_000, 99_999.0)
    assert all(step == value + 1 for step, value in points)


def test_heartbeats_and_outcomes_of_others_are_not_held_up_by_a_flood(rig, study_of, gathered):
    rig.work(0, 1)
    flood, other = study_of(value_objectives.flood), rig.study(meetings.wait)
    flood.submit(50_000)
    other.submit((rig.post.path, "beside it"))
    rig.post.visit().answer("ended")
    assert other.result() == "ended"
    flood.result()
    assert gathered[0][-1] == (50_000, 49_999.0)


def test_values_of_several_threads_each_have_a_step(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.from_threads)
    study.submit((4, 500))
    study.result()
    assert [step for step, _ in gathered[0]] == [*range(1, 2001)]
    values = [value for _, value in gathered[0]]
    assert [values.count(number) for number in range(4)] == [500] * 4


def test_a_thread_that_goes_on_behind_its_trial_costs_the_evaluator_nothing(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.go_on_behind_the_end)
    study.submit("first", "next")
    assert [study.result() for _ in range(2)] == ["done"] * 2
    assert (7, 7.0) in gathered[1]


def test_a_child_of_the_objective_cannot_report(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.from_a_child)
    study.submit("anything")
    said = study.result()
    assert said.startswith("TrialError: an intermediate value came from process")
    assert "which the objective has forked" in said
    assert gathered == {0: [(1, 2.0)]}


def test_what_is_no_value_or_no_step_is_refused_and_sends_nothing(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.refusals)
    study.submit(
        [("0.5",), (None,), (10**400,), (1j,), (1.0, -1), (1.0, 2**63), (1.0, 1.5), (1.0, 2**63 - 1), (1,)]
    )
    assert study.result() == [
        *("TypeError", "TypeError", "ValueError", "TypeError"),
        *("ValueError", "ValueError", "TypeError", "", "ValueError"),
    ]
    assert gathered == {0: [(2**63 - 1, 1.0)]}


@pytest.mark.parametrize("end", ["raise", "die"])
def test_those_of_a_trial_that_fails_count(rig, study_of, gathered, end):
    rig.work(0)
    study = study_of(value_objectives.report_then)
    study.submit(([1.0, 0.5], end))
    assert study.settled().outcome is Outcome.FAILED
    assert gathered == {0: [(1, 1.0), (2, 0.5)]}


def test_they_arrive_before_the_reply_to_a_request_that_is_held_open(rig, study_of, gathered):
    rig.work(0)
    study = study_of(value_objectives.BesideARequest())
    desk = Desk(study)
    study.submit(rig.post.path)
    held = desk.next()
    rig.post.visit().answer()
    while not gathered:
        study.channel.next_settled(0)
    desk.reply(held, b"")
    assert study.result() == "done"
    assert gathered == {0: [(1, 1.5)]}


def test_a_trial_whose_connection_is_gone_hears_of_it(rig, study_of):
    rig.work(0)
    study = study_of(value_objectives.close_the_connection)
    study.submit("anything")
    assert study.result() == "TrialError"


def test_none_is_lost_and_none_counts_twice_through_a_cut(rig, study_of, gathered):
    line = Proxy(rig.endpoint.address)
    try:
        rig.work(0, endpoint=dataclasses.replace(rig.endpoint, address=line.address))
        rig.heard(events.WorkerJoined)
        study = study_of(value_objectives.follow)
        before, meanwhile = [(float(n),) for n in range(50)], [(float(n),) for n in range(50, 2000)]
        study.submit([*before, rig.post.path, *meanwhile, rig.post.path, (-1.0,)])
        visit = rig.post.visit()
        line.cut()
        rig.heard(events.StreamLost)
        visit.answer()
        again = rig.post.visit()
        line.mend()
        rig.heard(events.WorkerJoined)
        again.answer()
        assert study.result() == "done"
        assert gathered[0] == [*((n + 1, float(n)) for n in range(2000)), (2001, -1.0)]
    finally:
        rig.close()
        line.close()


class TestAWorkerThatTheTestPlays:
    @pytest.fixture
    def leased(self, rig, study_of):
        """A worker with an attempt."""
        peer = rig.peer()
        peer.hello()
        peer.hear("welcome")
        study = study_of(meetings.double)
        study.submit(1)
        attempt = peer.hear("assignment").assignment.attempt

        def values(offset, steps, values, number=attempt.attempt):
            of = trial_pb2.Attempt(study=attempt.study, tid=attempt.tid, attempt=number)
            return trial_pb2.IntermediateValues(attempt=of, offset=offset, steps=steps, values=values)

        return peer, study, attempt, values

    def test_stale_ones_change_nothing_and_repeated_ones_count_once(self, leased, gathered):
        peer, study, attempt, values = leased
        peer.say(values=values(0, [1], [0.5], number=2))
        peer.say(values=values(0, [1, 2], [1.0, 2.0]))
        peer.say(values=values(0, [1, 2], [1.0, 2.0]))
        assert peer.hear("receipt").receipt.count == 2
        peer.say(values=values(1, [2, 3], [2.0, 3.0]))
        assert peer.hear("receipt").receipt.count == 3
        peer.outcome(attempt, 1, kind="OUTCOME_KIND_OK", values=values(2, [3, 4], [3.0, 4.0]))
        assert study.settled().outcome is Outcome.OK
        assert gathered == {0: [(1, 1.0), (2, 2.0), (3, 3.0), (4, 4.0)]}

    def test_every_fourth_message_has_a_receipt(self, leased):
        peer, _, _, values = leased
        for number in range(8):
            peer.say(values=values(number, [number], [0.0]))
        assert [peer.hear("receipt").receipt.count for _ in range(2)] == [4, 8]

    @pytest.mark.parametrize(
        ("offset", "steps", "said"),
        [(1, [1], "0 to 1 were left out"), (0, [1, 2], "1 intermediate values"), (0, [2**63], "below 2")],
    )
    def test_what_no_worker_sends_ends_its_stream(self, leased, offset, steps, said):
        peer, _, _, values = leased
        peer.say(values=values(offset, steps, [0.5]))
        with pytest.raises(grpc.RpcError, match=said) as caught:
            list(peer.call)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT


class TestSeries:
    def test_it_is_thinned_evenly_and_keeps_the_newest(self):
        series = ValueSeries()
        for number in range(1, 45_001):
            series.add(number, -float(number))
        assert len(series) <= MOST_VALUES
        assert series.newest == (45_000, -45_000.0)
        gaps = {after - before for before, after in zip(series.steps, series.steps[1:], strict=False)}
        assert gaps == {8}

    def test_the_newest_is_there_between_two_that_stay(self):
        series = ValueSeries()
        for number in range(1, MOST_VALUES + 4):
            series.add(number, 0.0)
            assert series.steps[-1] == number
        assert series.steps[-3:].tolist() == [MOST_VALUES, MOST_VALUES + 2, MOST_VALUES + 3]

    def test_of_a_repeated_step_the_last_value_counts(self):
        series = ValueSeries()
        series.extend([2, 1, 2, 3], [0.1, 0.2, 0.3, 0.4])
        assert series.by_step() == {1: 0.2, 2: 0.3, 3: 0.4}
        assert [*series.before(2)] == [(1, 0.2)]

    def test_bytes_and_back(self):
        series = ValueSeries()
        series.extend([0, 2**63 - 1], [math.inf, -0.0])
        assert ValueSeries.from_bytes(series.to_bytes()) == series
        assert repr(ValueSeries.from_bytes(b"")) == "<0 intermediate values>"
        for broken in (b"x" * 8, bytes(16 * MOST_VALUES + 16)):
            with pytest.raises(ValueError, match="are not a series"):
                ValueSeries.from_bytes(broken)


def test_outside_of_a_trial_a_report_checks_its_arguments_alone():
    import sparkopt

    assert sparkopt.report(1) is None
    with pytest.raises(TypeError, match="is a number, not the str 'high'"):
        sparkopt.report("high")
    with pytest.raises(ValueError, match="from 0 to"):
        sparkopt.report(0.5, -1)
    for complex_number in (1j, np.complex64(1j), np.array(1 + 0j)):
        with pytest.raises(TypeError, match="is a number, not the complex"):
            sparkopt.report(complex_number)
