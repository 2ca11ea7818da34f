"""Trials on real workers: what goes there, what comes back, and what it leaves."""

from __future__ import annotations

import psutil
import pytest

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from sparkopt.errors import PoolClosedError
from tests.coordinator import meetings
from tests.coordinator.rig import process_a

MIB = 2**20


def test_trials_settle_with_their_results(rig):
    rig.work(0, 1)
    study = rig.study(meetings.double)
    tids = study.submit(*range(20))
    settled = [study.settled() for _ in tids]
    assert sorted(each.tid for each in settled) == tids
    assert {each.tid: each.result.load() for each in settled} == {tid: 2 * tid for tid in tids}
    assert {(each.outcome, each.attempt) for each in settled} == {(Outcome.OK, 1)}
    started = study.channel.started()
    assert sorted(each.tid for each in started) == tids
    assert study.channel.started() == []


def test_how_long_a_worker_had_nothing_to_do(rig):
    rig.work(0)
    study = rig.study(meetings.double)
    rig.heard(events.WorkerJoined)
    study.submit(1, 2)
    assert [study.result(), study.result()] == [2, 4]
    first, second = study.channel.started()
    assert first.waited > 0  # until there was something
    assert second.waited == 0  # it was there already
    study.submit(3)
    assert study.result() == 6
    (third,) = study.channel.started()
    assert 0 < third.waited <= third.monotonic - second.monotonic


def test_an_objective_that_cleans_up_its_temporary_directory_hinders_no_trial(rig):
    rig.work(0)
    cleaning, dying = rig.study(meetings.clean_up), rig.study(meetings.clean_up_and_die)
    for _ in range(2):
        cleaning.submit(None, bytes(2 * MIB))
        assert [len(cleaning.result()) for _ in range(2)] == [2 * MIB] * 2
        dying.submit(None)
        assert dying.settled().failure.type == "sparkopt.errors.EvaluatorDiedError"


def test_each_worker_fetches_the_objective_once(rig):
    rig.work(0, 1)
    study = rig.study(meetings.wait)
    study.submit((rig.post.path, "a"), (rig.post.path, "b"))
    for visit in rig.post.visits(2).values():
        visit.answer()
    assert {study.settled().worker for _ in range(2)} == {"gang0.1/worker0", "gang0.1/worker1"}
    study.submit(*[(rig.post.path, "c")] * 6)
    for _ in range(6):
        rig.post.visit().answer()
        study.settled()
    assert len(rig.fetched) == 2
    assert len(set(rig.fetched)) == 1


def test_studies_share_the_workers(rig):
    rig.work(0)
    one, other = rig.study(meetings.double), rig.study(meetings.backwards)
    one.submit(4)
    other.submit(b"ab")
    one.submit(5)
    assert [one.result(), one.result(), other.result()] == [8, 10, b"ba"]


def test_large_arguments_and_results_survive_and_leave_no_files(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.backwards)
    for byte in (b"a", b"b"):
        data = b"!" + byte * (5 * MIB)
        study.submit(data)
        settled = study.settled()
        assert [path.stat().st_size for path in (tmp_path / "driver").glob("*/*")] > [5 * MIB]
        assert settled.result.load() == data[::-1]
        assert list((tmp_path / "driver").glob("*/*")) == []
    # The objective alone is kept, and of the two arguments nothing is left on either side.
    assert len(rig.files_of_workers()) == 1
    assert len(rig.coordinator.blobs._offered) == 1


def test_a_result_that_nobody_reads_goes_with_the_pool(rig, tmp_path):
    rig.work(0)
    study = rig.study(meetings.backwards)
    study.submit(bytes(2 * MIB))
    assert study.settled().outcome is Outcome.OK
    assert len(list((tmp_path / "driver").glob("*/*"))) == 1  # the fixture sees that it goes


@pytest.mark.parametrize("text", ["plain", "no file \udcff", "x" * (20 * MIB)], ids=["plain", "odd", "long"])
def test_an_exception_fails_its_trial_and_nothing_else(rig, text):
    rig.work(0)
    bad, good = rig.study(meetings.complain), rig.study(meetings.double)
    bad.submit(text)
    failed = bad.settled()
    assert (failed.outcome, failed.failure.type, failed.result) == (Outcome.FAILED, "ValueError", None)
    assert "in complain" in failed.failure.traceback
    assert failed.exception.load().args == (text,)
    good.submit(1)
    assert good.result() == 2


def test_a_trial_that_is_cancelled_ends_with_its_process(rig):
    rig.work(0)
    study = rig.study(meetings.wait)
    running, waiting = study.submit((rig.post.path, "running"), (rig.post.path, "waiting"))
    visit = rig.post.visit()
    study.channel.cancel(waiting, "never mind")
    study.channel.cancel(running, "too long")
    first, second = study.settled(), study.settled()
    assert (first.tid, first.outcome, first.attempt, first.reason) == (
        waiting,
        Outcome.CANCELLED,
        0,
        "never mind",
    )
    assert (second.tid, second.outcome, second.attempt, second.reason) == (
        running,
        Outcome.CANCELLED,
        1,
        "too long",
    )
    visit.wait_for_the_end()
    assert not psutil.pid_exists(visit.pid)
    study.submit((rig.post.path, "next"))
    after = rig.post.visit()
    assert (after.word, after.parent) == ("next", visit.parent)
    assert after.pid != visit.pid
    after.answer("fine")
    assert study.result() == "fine"


def test_what_a_trial_says_is_in_its_workers_log(make_rig):
    rig = make_rig(limit=1, policy=Policy(silence=10, grace=0.3))
    (first,) = rig.work(0)
    study = rig.study(meetings.say_and_wait)
    study.submit((rig.post.path, "one"))
    rig.post.visit().answer()
    assert study.settled().outcome is Outcome.OK
    assert rig.words(first) == "[trial 0] one\n"
    study.submit((rig.post.path, "two"), (rig.post.path, "three"))
    rig.post.visit()
    study.channel.cancel(1, "enough")
    assert study.settled().outcome is Outcome.CANCELLED
    rig.post.visit()
    process_a(first).kill()
    rig.post.visit().answer()
    assert study.settled().attempt == 2
    rig.close()
    code, log = rig.how_it_ended(first)
    assert code == 0
    assert log.startswith("[trial 0] one\n[trial 1] two\n")
    assert log.endswith("\n[trial 2, attempt 2] three\n")


def test_a_study_that_is_closed_at_once_does_the_worker_no_harm(rig):
    (worker,) = rig.work(0)
    rig.heard(events.WorkerJoined)
    study = rig.study(meetings.backwards)
    study.submit(bytes(2 * MIB))
    study.channel.close()
    again = rig.study(meetings.double)
    again.submit(4)
    assert again.result() == 8
    assert worker.poll() is None


@pytest.mark.parametrize("call", ["read", "receive"])
def test_a_fetch_or_push_that_does_not_get_through_is_made_again(rig, monkeypatch, call):
    real, failures = (
        getattr(rig.coordinator.blobs, call),
        [PoolClosedError("not now"), OSError("nor now")],
    )

    def fail_first(*arguments):
        if failures:
            raise failures.pop()
        return real(*arguments)

    monkeypatch.setattr(rig.coordinator.blobs, call, fail_first)
    rig.work(0)
    study = rig.study(meetings.backwards)
    study.submit(b"ab" * MIB)
    assert study.result() == b"ba" * MIB
    assert failures == []


def test_never_more_run_than_the_limit(make_rig, tmp_path):
    rig = make_rig(limit=2)
    rig.work(0, 1, 2)
    for _ in range(3):
        rig.heard(events.WorkerJoined)
    seats = tmp_path / "seats"
    seats.mkdir()
    study = rig.study(meetings.take_a_seat)
    study.submit(*[(rig.post.path, str(number), str(seats), 2) for number in range(8)])
    seen = []
    for _ in range(4):
        pair = [rig.post.visit(), rig.post.visit()]
        assert rig.post.nobody_waits()
        seen += [visit.word for visit in pair]
        for visit in pair:
            visit.answer()
    assert [study.settled().outcome for _ in seen] == [Outcome.OK] * 8
    assert sorted(seen) == [str(number) for number in range(8)]


def test_a_pool_that_closes_ends_what_runs(rig):
    (worker,) = rig.work(0)
    study = rig.study(meetings.wait)
    study.submit((rig.post.path, "running"))
    visit = rig.post.visit()
    rig.coordinator.expel_all()
    visit.wait_for_the_end()
    with pytest.raises(PoolClosedError):
        study.settled()
    assert worker.wait(30) == 0
