"""Events reach whoever watches: each once, in order, and nobody is held up."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from sparkopt.control.feed import Feed, FeedEntry
from sparkopt.core import events
from sparkopt.core.states import TrialKey
from sparkopt.errors import EventsForgottenError, LimitExceededError, NotFoundError
from sparkopt.wire.limits import TEXT_CHARACTERS
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import trial_pb2
from tests.control.control_clients import NARROW, Client, kinds
from tests.control.watching.played import CANCELLED, attempt_of, ok
from tests.coordinator import meetings
from tests.support.post import SECONDS
from tests.support.processes import started

WATCHER = """
import sys
import grpc
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
stub = control_pb2_grpc.ControlServiceStub(channel)
for response in stub.WatchEvents(control_pb2.WatchEventsRequest(after=0), metadata=bearer(sys.argv[2])):
    print(response.sequence, flush=True)
"""


def test_what_happens_to_a_trial_and_its_worker(rig):
    watch = rig.watch()
    assert watch.first == pb.WatchEventsResponse(pool=rig.call("GetStatus").pool)
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit("one")
    attempt = attempt_of(peer)
    report = trial_pb2.Report(attempt=attempt, kind=trial_pb2.REPORT_KIND_ATTACHMENT, name="picture")
    peer.say(1, report=report)
    peer.outcome(attempt, 2, **ok(0.5))
    heard = watch.until("settled")
    assert kinds(heard) == ["worker_joined", "study_opened", "submitted", "started", "reported", "settled"]
    assert [each.sequence for each in heard] == list(range(1, 7))
    joined, _, submitted, started, reported, settled = (each.event for each in heard)
    assert joined.worker_joined.state == pb.WORKER_STATE_IDLE
    assert submitted.submitted.state == pb.TRIAL_STATE_PENDING
    assert not submitted.submitted.HasField("started")
    assert (started.started.state, started.started.attempt) == (pb.TRIAL_STATE_LEASED, 1)
    assert not started.started.HasField("loss")
    assert (reported.reported.kind, reported.reported.name, reported.reported.tid) == (
        "attachment",
        "picture",
        0,
    )
    assert (settled.settled.state, settled.settled.loss) == (pb.TRIAL_STATE_OK, 0.5)
    times = [each.event.time.ToNanoseconds() for each in heard]
    assert times == sorted(times)
    study.channel.close()
    ended = watch.event("study_ended")
    assert ended.HasField("ended")
    assert ended.trials == pb.TrialCounts(submitted=1, ok=1)
    # The same again, with what was so then.
    assert rig.watch(after=0).until("settled") == heard


def test_limits(rig):
    watch = rig.watch()
    rig.call("Pause")
    rig.call("Pause")
    rig.call("SetParallelism", parallelism=2)
    rig.call("SetParallelism", parallelism=1)
    rig.call("Resume")
    heard = watch.until("resumed")
    assert kinds(heard) == ["paused", "limit_changed", "resumed"]
    assert heard[1].event.limit_changed.parallelism == 1


def test_an_attempt_that_is_lost_with_its_worker(rig):
    watch = rig.watch()
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit("unlucky")
    attempt_of(peer)
    rig.coordinator.post_event(events.WorkerGone("gang0.1/worker0", "its task ended"))
    heard = watch.until("requeued")
    assert kinds(heard)[-2:] == ["worker_left", "requeued"]
    left, requeued = heard[-2].event.worker_left, heard[-1].event.requeued
    assert (left.worker.name, left.worker.state) == ("gang0.1/worker0", pb.WORKER_STATE_GONE)
    assert left.reason == "its task ended"
    assert (requeued.tid, requeued.state, requeued.attempt) == (0, pb.TRIAL_STATE_PENDING, 1)
    assert requeued.worker == "gang0.1/worker0"
    (waiting,) = rig.call("ListTrials").trials
    assert (waiting.state, waiting.attempt) == (pb.TRIAL_STATE_PENDING, 0)
    assert list(rig.call("ListWorkers").workers) == []
    other = rig.joined_peer(1)
    assert attempt_of(other).attempt == 2
    heard = watch.until("started")
    assert kinds(heard) == ["worker_joined", "started"]
    assert (heard[-1].event.started.attempt, heard[-1].event.started.worker) == (2, "gang0.1/worker1")


def test_an_attempt_that_goes_to_another_worker_at_once(rig):
    peer, other = rig.joined_peer(0), rig.joined_peer(1)
    study = rig.study(meetings.double)
    study.submit("unlucky")
    attempt_of(peer)
    watch = rig.watch()
    rig.coordinator.post_event(events.WorkerGone("gang0.1/worker0", "its task ended"))
    attempt_of(other)
    assert kinds(watch.until("started")) == ["worker_left", "requeued", "started"]


def test_an_attempt_that_its_worker_gives_up(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit("given up")
    attempt = attempt_of(peer)
    rig.call("Pause")
    watch = rig.watch()
    peer.outcome(attempt, 1, **CANCELLED)
    assert watch.event("requeued").attempt == 1
    (worker,) = rig.call("ListWorkers").workers
    assert worker.state == pb.WORKER_STATE_IDLE
    rig.call("Resume")
    assert attempt_of(peer).attempt == 2
    heard = watch.until("started")
    assert kinds(heard) == ["resumed", "started"]
    assert heard[-1].event.started.attempt == 2


def test_a_worker_that_is_cut_and_comes_back(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit("runs")
    attempt = attempt_of(peer)
    watch = rig.watch()
    peer.end()
    assert watch.event("worker_unreachable").name == "gang0.1/worker0"
    again = rig.peer()
    again.hello()
    again.hear("welcome")
    # The cut may have swallowed it, so it is said again; to who watches it has started already.
    assert attempt_of(again) == attempt
    again.outcome(attempt, 1, **ok())
    assert kinds(watch.until("settled")) == ["worker_returned", "settled"]


def test_a_trial_that_takes_too_many_workers_down_is_not_requeued(rig):
    peer = rig.joined_peer()
    study = rig.study(meetings.double, max_attempts=1)
    study.submit("murderous")
    attempt_of(peer)
    watch = rig.watch()
    rig.coordinator.post_event(events.WorkerGone("gang0.1/worker0", "its task ended"))
    assert watch.event("settled").state == pb.TRIAL_STATE_LOST
    assert kinds(watch.until("worker_left")) == ["worker_left"]
    (trial,) = rig.call("ListTrials").trials
    assert (trial.state, trial.attempt) == (pb.TRIAL_STATE_LOST, 1)


def test_a_watch_of_one_study(rig):
    one, two = rig.study(meetings.double), rig.study(meetings.double)
    names = [study.name for study in rig.call("GetStatus").studies]
    watch = rig.watch(study=names[1])
    one.submit(*range(3000))
    two.submit("other")
    one.submit("last")
    rig.call("Pause")
    heard = watch.until("paused")
    # What was left out is told when it is much.
    assert len(heard) > 2
    told = [each for each in heard if each.HasField("event")]
    assert kinds(told) == ["submitted", "paused"]
    assert [each.sequence for each in told] == [3003, 3005]
    assert told[0].event.submitted.study == names[1]
    assert rig.refusal("ListTrials", study="nobody's") == (NotFoundError, "NO_STUDY")
    with pytest.raises(NotFoundError):
        rig.watch(study="nobody's")


def test_one_that_is_killed_goes_on_where_it_was(rig, tmp_path):
    rig.work(0, 1)
    study = rig.study(meetings.double)
    study.submit(*range(20))
    command = [sys.executable, "-c", WATCHER, rig.server.address, rig.server.token]
    with started(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        seen = [int(process.stdout.readline()) for _ in range(20)]
        process.send_signal(signal.SIGKILL)
        seen += [int(line) for line in process.stdout.read().splitlines()]
        process.wait(SECONDS)
    for _ in range(20):
        study.settled()
    study.submit(*range(20))
    for _ in range(20):
        study.settled()
    last = rig.call("GetStatus").last_event
    assert last >= 120  # submitted, started and settled, of 40 trials
    assert seen[-1] < last
    watch = rig.watch(after=seen[-1], pool=rig.call("GetStatus").pool)
    assert watch.first.sequence == seen[-1]
    while seen[-1] < last:
        seen.append(watch.next().sequence)
    assert seen == list(range(last + 1))
    every = rig.watch(after=0)
    heard = [every.next() for _ in range(last)]
    assert kinds(heard).count("settled") == 40
    assert len({each.event.settled.tid for each in heard if each.event.HasField("settled")}) == 40


def test_events_that_are_not_kept_any_more(make_rig):
    rig = make_rig(kept=10)
    study = rig.study(meetings.double)
    study.submit(*range(20))
    last = rig.call("GetStatus").last_event
    assert last == 21
    assert rig.watch(after=last - 10).next().sequence == last - 9
    pool = rig.call("GetStatus").pool
    for after, of in ((last - 11, ""), (0, ""), (last + 1, ""), (last, "another"), (2**63, pool)):
        with pytest.raises(EventsForgottenError) as caught:
            rig.watch(after=after, pool=of)
        assert caught.value.reason == "EVENTS_FORGOTTEN"
    assert rig.watch(after=last, pool=pool).first.sequence == last


def test_names_are_told_as_far_as_they_are_of_use(rig):
    watch = rig.watch()
    peer = rig.joined_peer()
    rig.study(meetings.double).submit("one")
    attempt = attempt_of(peer)
    report = trial_pb2.Report(attempt=attempt, kind=trial_pb2.REPORT_KIND_ATTACHMENT, name="x" * 1_000_000)
    peer.say(1, report=report)
    failure = trial_pb2.Failure(type="ValueError", message="y" * 1_000_000 + "\nmore")
    peer.outcome(attempt, 2, kind=trial_pb2.OUTCOME_KIND_FAILED, failure=failure)
    assert watch.event("reported").name == "x" * 1000
    reason = watch.event("settled").reason
    assert reason.startswith("ValueError: yyy")
    assert len(reason) == TEXT_CHARACTERS


def test_a_slow_one_is_dropped_and_others_do_not_notice(make_rig):
    rig = make_rig(kept=400)
    slow = rig.new_client(NARROW).watch()
    quick = rig.new_client().watch()
    name = "x" * 10_000

    def happen():
        for _ in range(50):
            rig.server.reported(TrialKey("study", 0), ReportKind.ATTACHMENT, name)

    for batch in range(1, 21):
        rig.on_loop(happen)
        while quick.next().sequence < 50 * batch:
            pass
    # It has not read a word, and the server has done with it.
    rig.until(lambda: len(rig.server.feed._watchers) == 1)
    heard, error = slow.to_the_end()
    assert (type(error), error.reason) == (LimitExceededError, "TOO_SLOW")
    assert heard == list(range(1, len(heard) + 1))
    assert len(heard) < 900
    # It comes back for what it has missed, if it does so soon.
    assert rig.watch(after=900).next().sequence == 901


def test_a_long_past_is_no_pile():
    """What there was when a watcher began is not held against it, as long as it has not read it."""

    async def watched():
        feed = Feed(kept=1000)
        quick = feed.watch()

        async def add(events):
            for _ in range(events):
                feed.add(FeedEntry(0.0, "", lambda event: None))
                if feed.last - quick.place >= 100:
                    await quick.take()

        await add(600)
        late = feed.watch(after=0)
        await add(250)
        assert not late.dropped.done()
        assert [number for number, _ in await late.take()] == list(range(1, 257))
        await add(1)
        with pytest.raises(LimitExceededError):
            await late.take()
        assert not quick.dropped.done()
        quick.close()
        late.close()

    asyncio.run(watched())


def test_when_the_pool_closes_the_stream_ends_well(rig):
    client = Client(rig.server.address, rig.server.token)
    watch = client.watch()
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit("never")
    attempt_of(peer)
    with ThreadPoolExecutor(1) as threads:
        reading = threads.submit(watch.rest)
        rig.close()
        heard = reading.result(SECONDS)
    client.close()
    assert kinds(heard)[:4] == ["worker_joined", "study_opened", "submitted", "started"]
    assert [each.sequence for each in heard] == list(range(1, len(heard) + 1))
