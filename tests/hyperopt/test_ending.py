"""What ends a search: a timeout, a loss, an early stop, Ctrl-C, an error; and what it leaves."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from types import SimpleNamespace

import pytest
from hyperopt import rand
from hyperopt.base import JOB_STATE_CANCEL, JOB_STATE_DONE

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.coordinator import StudyChannel
from sparkopt.errors import AllTrialsFailedError, PoolClosedError, TrialCancelledError
from tests.support.study_tools import (
    CASE,
    DEADLINE_SECONDS,
    blocking_from_the_third,
    hear,
    in_order,
    make_fifos,
    take_ticket,
    wait_at,
)

CANCELLED = str(TrialCancelledError)


def succeeds_again(new_trials):
    """The session is as usable as before."""
    trials = new_trials()
    fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)
    return trials.count_successful_trials() == 3 and trials.fmin_cancelled_reason is None


def two_and_a_blocked_one(directory):
    """An objective whose first two runs return; the third says that it is there, and never ends."""
    make_fifos(directory, "there", "never")
    return blocking_from_the_third(directory)


def check_two_kept(trials, reason, cancelled=2):
    """One of two workers was running the third, and one trial was proposed ahead."""
    assert trials.fmin_cancelled_reason == reason
    assert trials.count_successful_trials() == 2
    assert trials.count_cancelled_trials() == cancelled
    assert trials.count_failed_trials() == 0
    assert trials.count_total_trials() == 2 + cancelled
    assert len(trials.trials) == 2
    for document in trials._dynamic_trials:
        if document["state"] == JOB_STATE_CANCEL:
            assert document["misc"]["error"] == (CANCELLED, reason)
            assert document["refresh_time"] is not None
    assert all(each["state"] == JOB_STATE_DONE for each in trials.trials)
    assert len(trials.losses()) == 2


@pytest.fixture
def clock(monkeypatch):
    """A clock for timeouts that can be put ahead."""
    own = SimpleNamespace(ahead=0.0)
    own.monotonic = lambda: time.monotonic() + own.ahead
    monkeypatch.setattr("sparkopt.coordinator.channels.channel.time", own)
    monkeypatch.setattr("sparkopt.study.study.time", own)
    return own


def test_a_timeout_ends_what_runs_and_keeps_what_finished(new_trials, tmp_path, clock):
    def pass_time(trials, count=0):
        if count == 1:
            wait_at(tmp_path / "there")
            clock.ahead = 4000.0
        return False, [count + 1]

    trials = new_trials(timeout=3600)
    best = fmin(
        two_and_a_blocked_one(tmp_path),
        CASE,
        in_order,
        100,
        trials=trials,
        verbose=False,
        early_stop_fn=pass_time,
    )
    check_two_kept(trials, "fmin run timeout")
    assert best == trials.argmin


def test_a_timeout_holds_when_there_is_always_a_result(new_trials, clock, monkeypatch):
    settled, put = threading.Semaphore(0), StudyChannel.put_settled
    asked = []

    def put_and_say_so(channel, trial):
        put(channel, trial)
        settled.release()

    def algo(new_ids, domain, trials, seed):
        # Every time but the first there is one trial on its way, whose result this waits for.
        assert not asked or settled.acquire(timeout=60)
        asked.append(clock.ahead)
        if len(asked) == 4:
            clock.ahead = 4000.0
        return in_order(new_ids, domain, trials, seed)

    monkeypatch.setattr(StudyChannel, "put_settled", put_and_say_so)
    trials = new_trials(timeout=3600)
    fmin(lambda case: case, CASE, algo, 50, trials=trials, verbose=False)
    assert asked == [0.0] * 4
    assert trials.fmin_cancelled_reason == "fmin run timeout"
    assert trials.count_total_trials() == 4
    assert trials.count_successful_trials() >= 2


def test_a_timeout_that_nothing_is_left_for_is_none(new_trials, clock):
    def pass_time(trials, count=0):
        clock.ahead = 4000.0 * (count == 2)
        return False, [count + 1]

    trials = new_trials(parallelism=1, timeout=3600)
    fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False, early_stop_fn=pass_time)
    assert trials.fmin_cancelled_reason is None
    assert trials.count_successful_trials() == 3


def test_a_timeout_before_anything_finished(new_trials, tmp_path):
    make_fifos(tmp_path, "never")
    path = str(tmp_path / "never")
    trials = new_trials()
    with pytest.raises(AllTrialsFailedError, match=r"3 were cancelled\. The search ended early: fmin run"):
        fmin(lambda case: wait_at(path), CASE, in_order, 9, timeout=1, trials=trials, verbose=False)
    assert trials.fmin_cancelled_reason == "fmin run timeout"
    assert trials.trials == []


def test_a_good_enough_loss_ends_the_search(new_trials):
    trials = new_trials(parallelism=1)
    fmin(lambda case: -case, CASE, in_order, 50, loss_threshold=-4.5, trials=trials, verbose=False)
    assert trials.losses() == [0, -1, -2, -3, -4, -5]
    assert trials.fmin_cancelled_reason is None
    assert trials.count_cancelled_trials() == 0


def test_early_stop_hears_of_each_finished_trial_once(new_trials):
    heard = []

    def early_stop(trials, count=0, label=None):
        heard.append((trials.count_successful_trials(), count, label))
        return count == 4, [count + 1, "carried"]

    def objective(case):
        if case % 3 == 2:
            raise ValueError(case)
        return case

    trials = new_trials(parallelism=1)
    fmin(objective, CASE, in_order, 50, early_stop_fn=early_stop, trials=trials, verbose=False)
    assert heard == [(1, 0, None), (2, 1, "carried"), (3, 2, "carried"), (4, 3, "carried"), (5, 4, "carried")]
    assert trials.losses() == [0, 1, 3, 4, 6]
    assert trials.count_failed_trials() == 2
    assert trials.fmin_cancelled_reason == "early stopping condition"


def test_an_error_behind_the_one_that_ends_the_search_is_logged(spark, tmp_path, caplog):
    caplog.set_level(logging.WARNING, "sparkopt.study")
    with WorkerPool(2, spark_session=spark) as pool:

        def early_stop(trials):
            pool.close()
            raise LookupError("of the user's own")

        with pytest.raises(LookupError, match="of the user's own"):
            fmin(
                two_and_a_blocked_one(tmp_path),
                CASE,
                in_order,
                50,
                early_stop_fn=early_stop,
                trials=SparkTrials(pool=pool),
                verbose=False,
            )
    said = [each.getMessage() for each in caplog.records if each.name == "sparkopt.study"]
    assert any(PoolClosedError.__name__ in message for message in said)


def test_early_stop_ends_what_runs(new_trials, tmp_path):
    def early_stop(trials, count=0):
        if count == 1:
            wait_at(tmp_path / "there")
        return count == 1, [count + 1]

    trials = new_trials()
    fmin(
        two_and_a_blocked_one(tmp_path),
        CASE,
        in_order,
        100,
        early_stop_fn=early_stop,
        trials=trials,
        verbose=False,
    )
    check_two_kept(trials, "early stopping condition")


def test_ctrl_c_while_something_is_done_with_a_result(new_trials, tmp_path):
    def interrupt(trials, count=0):
        if count == 1:
            wait_at(tmp_path / "there")
            signal.raise_signal(signal.SIGINT)
        return False, [count + 1]

    trials = new_trials()
    with pytest.raises(KeyboardInterrupt):
        fmin(
            two_and_a_blocked_one(tmp_path),
            CASE,
            in_order,
            100,
            early_stop_fn=interrupt,
            trials=trials,
            verbose=False,
        )
    check_two_kept(trials, "fmin run cancelled by user")
    assert succeeds_again(new_trials)


def test_ctrl_c_while_waiting(new_trials, tmp_path):
    make_fifos(tmp_path, "never")
    place, driver = str(tmp_path), os.getpid()

    def objective(case):
        if take_ticket(place) < 2:
            return float(case)
        os.kill(driver, signal.SIGINT)
        return wait_at(f"{place}/never")

    trials = new_trials(parallelism=1)
    with pytest.raises(KeyboardInterrupt):
        fmin(objective, CASE, in_order, 100, trials=trials, verbose=False)
    check_two_kept(trials, "fmin run cancelled by user", cancelled=1)
    assert succeeds_again(new_trials)


def test_ctrl_c_that_does_not_wake_the_main_thread(new_trials, tmp_path):
    make_fifos(tmp_path, "there", "never")

    def press():
        # This thread takes the signal, as if it had come just before the main thread began to wait.
        if hear(f"{tmp_path}/there", DEADLINE_SECONDS):
            signal.raise_signal(signal.SIGINT)

    user = threading.Thread(target=press)
    user.start()
    trials = new_trials(parallelism=1)
    with pytest.raises(KeyboardInterrupt):
        fmin(blocking_from_the_third(tmp_path), CASE, in_order, 100, trials=trials, verbose=False)
    user.join()
    check_two_kept(trials, "fmin run cancelled by user", cancelled=1)


def test_an_algorithm_that_raises(new_trials):
    def algo(new_ids, domain, trials, seed):
        if len(trials.trials) == 3:
            raise LookupError("no more ideas")
        return in_order(new_ids, domain, trials, seed)

    trials = new_trials(parallelism=1)
    with pytest.raises(LookupError, match="no more ideas"):
        fmin(lambda case: case, CASE, algo, 50, trials=trials, verbose=False)
    assert trials.losses() == [0, 1, 2]
    assert succeeds_again(new_trials)


def test_an_early_stop_that_raises(new_trials, tmp_path):
    def early_stop(trials, count=0):
        if count == 1:
            wait_at(tmp_path / "there")
            raise LookupError("no such attribute of the trials")
        return False, [count + 1]

    trials = new_trials()
    with pytest.raises(LookupError, match="no such attribute"):
        fmin(
            two_and_a_blocked_one(tmp_path),
            CASE,
            in_order,
            50,
            early_stop_fn=early_stop,
            trials=trials,
            verbose=False,
        )
    assert trials.fmin_cancelled_reason is None
    assert trials.count_successful_trials() == 2
    cancelled = [each for each in trials._dynamic_trials if each["state"] == JOB_STATE_CANCEL]
    assert [each["misc"]["error"] for each in cancelled] == [(CANCELLED, "fmin ended with an error")] * 2


def test_an_algorithm_without_proposals_ends_the_search(new_trials):
    def algo(new_ids, domain, trials, seed):
        return [] if len(trials.trials) == 4 else rand.suggest(new_ids, domain, trials, seed)

    trials = new_trials(parallelism=1)
    fmin(lambda case: case, CASE, algo, 50, trials=trials, verbose=False)
    assert trials.count_successful_trials() == trials.count_total_trials() == 4
