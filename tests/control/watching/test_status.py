"""What there is in a pool, as clients see it: status, trials, workers."""

from __future__ import annotations

import numpy as np
import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.errors import BadRequestError, NotFoundError, WrongStateError
from sparkopt.wire import codec
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import trial_pb2
from tests.control.watching.played import attempt_of, ok
from tests.coordinator import meetings


def submit(study, *values, first=0):
    """Have trials run that were proposed with these values."""
    proposals = [(tid, codec.dumps(tid)) for tid in range(first, first + len(values))]
    study.channel.submit(proposals, values)


def test_an_empty_pool(rig):
    status = rig.call("GetStatus")
    assert len(status.pool) > 8
    assert status.version
    assert (status.parallelism, status.max_parallelism, status.paused, status.workers) == (2, 2, False, 0)
    assert status.trials == pb.TrialCounts()
    assert (status.idle_share, status.trials_per_second, status.last_event) == (0, 0, 0)
    assert list(status.studies) == []
    assert rig.call("ListTrials") == pb.ListTrialsResponse()
    assert rig.call("ListWorkers") == pb.ListWorkersResponse()


def test_a_trials_way(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    submit(study, {"x": np.float64(1.5), "kind": np.int64(2)}, {"x": float("nan")}, {})
    first = attempt_of(peer)
    running, waiting, _ = rig.call("ListTrials").trials
    assert (running.study, running.tid, running.state) == (first.study, 0, pb.TRIAL_STATE_LEASED)
    assert dict(running.values) == {"x": 1.5, "kind": 2}
    assert (running.attempt, running.worker) == (1, "gang0.1/worker0")
    assert running.submitted.ToSeconds() > 1e9
    assert running.started.ToDatetime() >= running.submitted.ToDatetime()
    assert not running.HasField("settled")
    assert not running.HasField("loss")
    assert (waiting.tid, waiting.state, waiting.attempt) == (1, pb.TRIAL_STATE_PENDING, 0)
    assert dict(waiting.values) == {"x": "NaN"}
    peer.outcome(first, 1, **ok(0.25))
    failure = trial_pb2.Failure(type="ValueError", message="no\nreally")
    peer.outcome(attempt_of(peer), 2, kind=trial_pb2.OUTCOME_KIND_FAILED, failure=failure)
    attempt_of(peer)
    done, failed, running = rig.call("ListTrials").trials
    assert (done.state, done.loss, done.seconds) == (pb.TRIAL_STATE_OK, 0.25, 0.5)
    assert done.settled.ToDatetime() >= done.started.ToDatetime()
    assert (failed.state, failed.reason) == (pb.TRIAL_STATE_FAILED, "ValueError: no")
    assert not failed.HasField("loss")
    status = rig.call("GetStatus")
    assert status.trials == pb.TrialCounts(submitted=3, leased=1, ok=1, failed=1)
    (told,) = status.studies
    assert told.trials == status.trials
    assert (told.kind, told.best_loss, told.best_tid) == (pb.STUDY_KIND_SEARCH, 0.25, 0)
    assert not told.HasField("ended")
    assert status.workers == 1
    assert status.trials_per_second == pytest.approx(2, abs=1.9)
    assert 0 <= status.idle_share <= 1


def test_a_result_that_says_that_its_trial_has_failed_is_a_failure_of_a_search(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    submit(study, {})
    fault = "the objective returned the status 'fail'"
    peer.outcome(attempt_of(peer), 1, kind=trial_pb2.OUTCOME_KIND_OK, fault=fault)
    (failed,) = rig.call("ListTrials").trials
    assert (failed.state, failed.reason) == (pb.TRIAL_STATE_FAILED, fault)
    status = rig.call("GetStatus")
    assert status.trials == status.studies[0].trials == pb.TrialCounts(submitted=1, failed=1)


def test_the_best_is_the_smallest_loss_there_is(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    submit(study, *[{}] * 4)
    for sequence, loss in enumerate((None, 3.0, -1.0, 2.0), 1):
        peer.outcome(attempt_of(peer), sequence, **ok(loss))
        study.settled()
    (told,) = rig.call("GetStatus").studies
    assert (told.best_loss, told.best_tid) == (-1.0, 2)


def test_workers(rig):
    peer, _ = rig.joined_peer(0), rig.joined_peer(1)
    study = rig.study(meetings.double)
    submit(study, {})
    attempt = attempt_of(peer)
    busy, idle = rig.call("ListWorkers").workers
    assert (busy.name, busy.state, busy.study, busy.tid) == (
        "gang0.1/worker0",
        pb.WORKER_STATE_BUSY,
        attempt.study,
        0,
    )
    assert (busy.gang, busy.generation) == (0, 1)
    assert (idle.name, idle.state) == ("gang0.1/worker1", pb.WORKER_STATE_IDLE)
    assert not idle.HasField("tid")
    assert idle.busy_seconds == 0
    peer.outcome(attempt, 1, **ok())
    study.settled()
    was_busy, _ = rig.call("ListWorkers").workers
    assert (was_busy.state, was_busy.trials) == (pb.WORKER_STATE_IDLE, 1)
    assert was_busy.busy_seconds > 0
    assert not was_busy.HasField("tid")
    # It has stopped counting.
    assert rig.call("ListWorkers").workers[0].busy_seconds == was_busy.busy_seconds
    assert 0 < rig.call("GetStatus").idle_share < 1


def test_a_worker_that_is_out_of_reach(make_rig):
    rig = make_rig(policy=Policy(silence=0.1))
    watch = rig.watch()
    rig.joined_peer()
    assert watch.event("worker_unreachable").state == pb.WORKER_STATE_UNREACHABLE
    assert rig.call("ListWorkers").workers[0].state == pb.WORKER_STATE_UNREACHABLE
    assert rig.call("GetStatus").workers == 0


class TestPages:
    def test_each_trial_is_listed_once_while_others_come_and_settle(self, rig):
        peer = rig.joined_peer()
        study = rig.study(meetings.double)
        submit(study, *[{}] * 7)
        seen, token, first = [], "", 7
        for sequence in range(1, 6):
            page = rig.call("ListTrials", page_size=2, page_token=token)
            seen += [trial.tid for trial in page.trials]
            token = page.next_page_token
            peer.outcome(attempt_of(peer), sequence, **ok())
            study.settled()
            submit(study, {}, first=first)
            first += 1
        assert len(token) > 0
        seen += [trial.tid for trial in rig.all_trials(page_size=2)][len(seen) :]
        assert seen == list(range(12))
        assert [trial.tid for trial in rig.all_trials(page_size=5)] == list(range(12))

    def test_pages_are_of_the_size_that_was_asked_for(self, rig):
        submit(rig.study(meetings.double), *[{}] * 1005)
        for asked, size in ((0, 100), (1, 1), (1000, 1000), (2000, 1000)):
            assert len(rig.call("ListTrials", page_size=asked).trials) == size
        # Full, and the last.
        page = rig.call("ListTrials", page_size=1000)
        page = rig.call("ListTrials", page_size=5, page_token=page.next_page_token)
        assert (len(page.trials), page.next_page_token) == (5, "")

    def test_filters(self, rig):
        peer = rig.joined_peer()
        one, two = rig.study(meetings.double), rig.study(meetings.double)
        submit(one, *[{}] * 4)
        first = attempt_of(peer)
        submit(two, *[{}] * 3)
        peer.outcome(first, 1, **ok())
        running = attempt_of(peer)
        name = rig.call("GetStatus").studies[1].name

        def listed(*states, study=""):
            return [(t.study, t.tid) for t in rig.all_trials(page_size=1, states=states, study=study)]

        everything = listed()
        assert len(everything) == 7
        settled = [(first.study, first.tid)]
        leased = [(running.study, running.tid)]
        assert listed(pb.TRIAL_STATE_OK) == settled
        assert listed(pb.TRIAL_STATE_LEASED) == leased
        pending = [each for each in everything if each not in settled + leased]
        assert listed(pb.TRIAL_STATE_PENDING) == pending
        assert listed(pb.TRIAL_STATE_PENDING, pb.TRIAL_STATE_OK) == sorted(pending + settled)
        assert listed(study=name) == [each for each in everything if each[0] == name]
        assert listed(pb.TRIAL_STATE_PENDING, study=name) == [each for each in pending if each[0] == name]
        assert listed(pb.TRIAL_STATE_LOST) == []

    def test_a_long_history_is_looked_through_in_turns(self, rig):
        study = rig.study(meetings.double)
        submit(study, *[{}] * 5000)
        study.channel.cancel(4999, "the one that is looked for")
        study.settled()
        (found,) = rig.call("ListTrials", states=[pb.TRIAL_STATE_CANCELLED]).trials
        assert (found.tid, found.reason) == (4999, "the one that is looked for")

    def test_what_is_no_page(self, rig):
        submit(rig.study(meetings.double), *[{}] * 3)
        token = rig.call("ListTrials", page_size=1).next_page_token
        bad = (BadRequestError, "BAD_PAGE")
        assert rig.refusal("ListTrials", page_size=-1) == bad
        for wrong in ("1", "-1", "nonsense", token + "0", "1" + token, "9" * 40 + "-0", "²-0"):
            assert rig.refusal("ListTrials", page_token=wrong) == bad
        # A token goes with its filters.
        assert rig.refusal("ListTrials", page_token=token, states=[pb.TRIAL_STATE_OK]) == bad
        assert rig.refusal("ListTrials", study="study-9") == (NotFoundError, "NO_STUDY")


def test_which_study_is_meant(rig):
    def refusal(study):
        return rig.refusal("CancelTrial", study=study, tid=0)

    no_study, no_trial = (NotFoundError, "NO_STUDY"), (NotFoundError, "NO_TRIAL")
    assert refusal("") == no_study
    one, two = rig.study(meetings.double), rig.study(meetings.double)
    names = [study.name for study in rig.call("GetStatus").studies]
    assert refusal("") == (WrongStateError, "STUDY_NOT_NAMED")
    assert refusal("study-9") == no_study
    assert [refusal(name) for name in names] == [no_trial] * 2
    one.channel.close()
    rig.heard(events.CancelRequested)
    assert refusal("") == no_trial
    ended, going_on = rig.call("GetStatus").studies
    assert ended.HasField("ended")
    assert not going_on.HasField("ended")
    # One that has ended can still be named.
    assert refusal(names[0]) == no_trial
    assert two is not one
