"""Limits, cancels, stops and drains from outside, on real workers or on played ones."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparkopt.core import events
from sparkopt.core.states import Outcome
from sparkopt.errors import BadRequestError, NotFoundError, WrongStateError
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import trial_pb2
from tests.control.watching.played import CANCELLED, attempt_of, ok
from tests.coordinator import meetings
from tests.support.post import SECONDS


def runs(record):
    """When trials started and ended: pairs of a time and a step up or down, in order."""
    lines = [line.split() for line in record.read_text().splitlines()]
    return sorted((float(when), 1 if what == "start" else -1) for when, what, _ in lines)


@pytest.fixture
def record(tmp_path):
    """The objective's own record."""
    return tmp_path / "record"


class TestParallelism:
    def test_a_shrink_holds_from_the_moment_when_the_call_returns(self, make_rig, record):
        rig = make_rig(limit=4)
        rig.work(0, 1, 2, 3)
        study = rig.study(meetings.note_and_wait)
        study.submit(*[(rig.post.path, str(record), number) for number in range(10)])
        running = [rig.post.visit() for _ in range(4)]
        status = rig.call("SetParallelism", parallelism=1)
        returned = time.monotonic()
        assert (status.parallelism, status.max_parallelism, status.trials.leased) == (1, 4, 4)
        for visit in running:
            visit.answer()
            study.settled()
        for _ in range(6):
            rig.post.visit().answer()
            study.settled()
        going_on, most = 0, 0
        for when, step in runs(record):
            going_on += step
            if step == 1:
                most = max(most, going_on)
                assert when < returned or going_on == 1
        assert most == 4
        # And back, within what there was.
        study.submit(*[(rig.post.path, str(record), number) for number in range(10, 14)])
        first = rig.post.visit()
        assert rig.call("SetParallelism", parallelism=4).trials.leased == 4
        for visit in [first, *(rig.post.visit() for _ in range(3))]:
            visit.answer()

    @pytest.mark.parametrize("parallelism", [0, -1, 3, 2**31 - 1])
    def test_what_there_cannot_be_is_refused(self, rig, parallelism):
        assert rig.refusal("SetParallelism", parallelism=parallelism) == (BadRequestError, "BAD_PARALLELISM")
        assert rig.call("GetStatus").parallelism == 2


def test_nothing_starts_in_a_pause_and_what_runs_goes_on(rig, record):
    rig.work(0, 1)
    study = rig.study(meetings.note_and_wait)
    study.submit(*[(rig.post.path, str(record), number) for number in range(4)])
    running = [rig.post.visit(), rig.post.visit()]
    assert rig.call("Pause").paused
    assert rig.call("Pause").paused
    paused = time.monotonic()
    for visit in running:
        visit.answer()
        assert study.settled().outcome is Outcome.OK
    status = rig.call("GetStatus")
    assert status.trials == pb.TrialCounts(submitted=4, pending=2, ok=2)
    assert [worker.state for worker in rig.call("ListWorkers").workers] == [pb.WORKER_STATE_IDLE] * 2
    resumed = time.monotonic()
    assert not rig.call("Resume").paused
    for _ in range(2):
        rig.post.visit().answer()
        study.settled()
    assert not [when for when, step in runs(record) if step == 1 and paused <= when < resumed]


class TestPruning:
    def test_a_trial_that_runs_is_told_to_stop(self, rig):
        peer = rig.joined_peer()
        study = rig.study(meetings.double, prune_grace=7.5)
        study.submit("runs", "waits")
        attempt = attempt_of(peer)
        trial = rig.call("CancelTrial", tid=0, prune=True)
        assert (trial.tid, trial.state) == (0, pb.TRIAL_STATE_PRUNING)
        told = peer.hear("prune").prune
        assert (told.attempt, told.grace) == (attempt, 7.5)
        (listed,) = rig.call("ListTrials", states=[pb.TRIAL_STATE_PRUNING]).trials
        assert listed.tid == 0
        peer.outcome(attempt, 1, kind=trial_pb2.OUTCOME_KIND_PRUNED, seconds=0.5)
        settled = study.settled()
        why = "it was pruned over the control service"
        assert (settled.tid, settled.outcome, settled.reason) == (0, Outcome.PRUNED, why)
        (trial,) = rig.call("ListTrials", states=[pb.TRIAL_STATE_PRUNED]).trials
        assert (trial.tid, trial.reason, trial.seconds) == (0, why, 0.5)
        assert rig.call("GetStatus").trials == pb.TrialCounts(submitted=2, leased=1, pruned=1)
        study.channel.close()

    def test_a_trial_that_waits_is_left_as_it_is(self, rig):
        rig.study(meetings.double).submit("waits")
        assert rig.call("CancelTrial", tid=0, prune=True).state == pb.TRIAL_STATE_PENDING
        assert rig.refusal("CancelTrial", tid=9, prune=True) == (NotFoundError, "NO_TRIAL")


class TestCancelling:
    def test_a_trial_that_waits(self, rig):
        study = rig.study(meetings.double)
        study.submit("waits", "waits as well")
        trial = rig.call("CancelTrial", tid=1, reason="of no use any more")
        assert (trial.tid, trial.state, trial.reason) == (1, pb.TRIAL_STATE_CANCELLED, "of no use any more")
        assert trial.HasField("settled")
        settled = study.settled()
        assert (settled.tid, settled.outcome, settled.reason) == (1, Outcome.CANCELLED, "of no use any more")
        assert rig.call("GetStatus").trials == pb.TrialCounts(submitted=2, pending=1, cancelled=1)

    def test_a_trial_that_runs(self, rig):
        rig.work(0)
        study = rig.study(meetings.wait)
        study.submit((rig.post.path, "runs"))
        visit = rig.post.visit()
        trial = rig.call("CancelTrial", tid=0)
        assert (trial.tid, trial.state) == (0, pb.TRIAL_STATE_CANCELLING)
        visit.wait_for_the_end()
        settled = study.settled()
        assert (settled.outcome, settled.reason) == (
            Outcome.CANCELLED,
            "it was cancelled over the control service",
        )
        (trial,) = rig.call("ListTrials").trials
        assert (trial.state, trial.attempt) == (pb.TRIAL_STATE_CANCELLED, 1)

    def test_a_trial_that_has_settled(self, rig):
        peer = rig.joined_peer()
        study = rig.study(meetings.double)
        study.submit("done")
        peer.outcome(attempt_of(peer), 1, **ok(1.0))
        study.settled()
        trial = rig.call("CancelTrial", tid=0, reason="too late")
        assert (trial.state, trial.loss, trial.reason) == (pb.TRIAL_STATE_OK, 1.0, "")
        study.channel.close()

    def test_what_cannot_be_cancelled(self, rig):
        rig.study(meetings.double).submit("waits")
        assert rig.refusal("CancelTrial", tid=9) == (NotFoundError, "NO_TRIAL")
        assert rig.refusal("CancelTrial", tid=0, reason="x" * 1001) == (BadRequestError, "BAD_REASON")
        assert rig.call("CancelTrial", tid=0, reason="x" * 1000).state == pb.TRIAL_STATE_CANCELLED


class TestDraining:
    def test_a_worker_that_is_idle_leaves(self, rig):
        idle, other = rig.joined_peer(0), rig.joined_peer(1)
        worker = rig.call("DrainWorker", worker="gang0.1/worker0")
        assert (worker.name, worker.state) == ("gang0.1/worker0", pb.WORKER_STATE_GONE)
        assert idle.hear("expulsion").expulsion.reason == "it was drained over the control service"
        assert [worker.name for worker in rig.call("ListWorkers").workers] == ["gang0.1/worker1"]
        rig.study(meetings.double).submit("next")
        assert attempt_of(other).tid == 0

    def test_a_worker_that_runs_a_trial_leaves_when_that_has_ended(self, rig):
        peer = rig.joined_peer()
        study = rig.study(meetings.double)
        study.submit("runs", "waits")
        attempt = attempt_of(peer)
        watch = rig.watch()
        worker = rig.call("DrainWorker", worker="gang0.1/worker0")
        assert (worker.state, worker.tid) == (pb.WORKER_STATE_DRAINING, 0)
        assert rig.call("GetStatus").workers == 1
        peer.outcome(attempt, 1, **ok())
        assert study.settled().outcome is Outcome.OK
        peer.hear("expulsion")
        assert watch.event("worker_left").worker.trials == 1
        assert rig.call("GetStatus").trials == pb.TrialCounts(submitted=2, pending=1, ok=1)

    def test_nobody_of_that_name(self, rig):
        rig.joined_peer()
        for name in ("", "gang0.1/worker9"):
            assert rig.refusal("DrainWorker", worker=name) == (NotFoundError, "NO_WORKER")
        rig.call("DrainWorker", worker="gang0.1/worker0")
        assert rig.refusal("DrainWorker", worker="gang0.1/worker0") == (NotFoundError, "NO_WORKER")


class TestStopping:
    """What the coordinator does of it; what a search does: test_steered_searches."""

    def test_what_waits_and_runs_is_cancelled_at_once(self, rig):
        peer = rig.joined_peer()
        study, other = rig.study(meetings.double), rig.study(meetings.double)
        study.submit("runs", "waits")
        attempt = attempt_of(peer)
        other.submit("of another")
        told = rig.call("StopStudy", study=attempt.study)
        assert told.trials == pb.TrialCounts(submitted=2, leased=1, cancelled=1)
        assert study.channel.stop is not None
        assert peer.hear("cancellation").cancellation.attempt == attempt
        peer.outcome(attempt, 1, **CANCELLED)
        assert attempt_of(peer).study != attempt.study

    def test_what_runs_may_finish(self, rig):
        peer = rig.joined_peer()
        study = rig.study(meetings.double)
        study.submit("runs", "waits", "waits as well")
        attempt = attempt_of(peer)
        told = rig.call("StopStudy", finish_running=True)
        assert told.trials == pb.TrialCounts(submitted=3, leased=1, cancelled=2)
        peer.outcome(attempt, 1, **ok())
        rig.heard(events.OutcomeArrived)
        assert rig.call("StopStudy", finish_running=True).trials.leased == 0
        assert rig.call("GetStatus").studies[0].trials == pb.TrialCounts(submitted=3, ok=1, cancelled=2)


def test_points_that_a_search_has_not_looked_at_when_it_ends_are_refused(rig):
    study = rig.study(meetings.double)
    there = threading.Event()
    put = study.channel.put_points

    def noted(points):
        put(points)
        there.set()

    study.channel.put_points = noted
    with ThreadPoolExecutor(1) as threads:
        asked = threads.submit(rig.refusal, "SubmitTrials", points=[pb.Point(json='{"x": 1}')])
        assert there.wait(SECONDS)
        study.channel.close()
        assert asked.result(SECONDS) == (WrongStateError, "STUDY_ENDED")
