"""How the proposing loop goes: jobs, parallelism, what algorithms see, progress, and what is refused."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import hyperopt
import numpy as np
import pytest
from hyperopt import rand
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_NEW, JOB_STATE_RUNNING

import sparkopt
from sparkopt import fmin
from sparkopt.errors import RefusedError, SparkoptWarning
from tests.support.study_tools import (
    CASE,
    DEADLINE_SECONDS,
    give_back,
    in_order,
    jobs,
    make_fifos,
    meet,
    signal_at,
    take_ticket,
    wait_at,
)


def test_one_job_for_a_hundred_trials(spark, new_trials):
    before = jobs(spark)
    trials = new_trials()
    fmin(lambda case: case, CASE, rand.suggest, 100, trials=trials, verbose=False)
    assert trials.count_successful_trials() == 100
    assert len(jobs(spark) - before) == 1


def crowded(directory):
    """An objective that tells how many others ran when it came: the lowest number nobody held."""

    def objective(case):
        ticket = take_ticket(directory)
        total = sum(number % 7 for number in range(20_000))
        give_back(directory, ticket)
        return {"status": "ok", "loss": float(total), "ticket": ticket}

    return objective


@pytest.mark.parametrize("parallelism", [1, 2])
@pytest.mark.parametrize("queue", [1, 4])
def test_never_more_at_once_than_the_parallelism(new_trials, tmp_path, parallelism, queue):
    trials = new_trials(parallelism)
    objective = crowded(str(tmp_path))
    fmin(objective, CASE, in_order, 40, max_queue_len=queue, trials=trials, verbose=False)
    assert trials.count_successful_trials() == 40
    assert {result["ticket"] for result in trials.results} <= set(range(parallelism))


def test_two_do_run_at_the_same_time(new_trials, tmp_path):
    make_fifos(tmp_path, "side-0", "side-1")
    place = str(tmp_path)

    def objective(case):
        side = take_ticket(place)
        if not meet(place, side):
            raise TimeoutError("nobody else came")
        return side

    trials = new_trials()
    fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)
    assert sorted(trials.losses()) == [0, 1]


def test_algorithms_see_running_trials(new_trials, tmp_path):
    make_fifos(tmp_path, "side-0", "side-1", "proposed")
    place = str(tmp_path)
    seen = []

    def objective(case):
        if case < 2 and not meet(place, int(case)):
            raise TimeoutError("nobody else came")
        if case == 0:
            wait_at(f"{place}/proposed")
        return case

    def algo(new_ids, domain, trials, seed):
        if len(trials.trials) == 3:
            # The third was proposed before the first two had begun.
            seen.extend(dict(document) for document in trials.trials[:2])
            assert trials.count_by_state_unsynced(JOB_STATE_DONE) == 1
            signal_at(f"{place}/proposed")
        return in_order(new_ids, domain, trials, seed)

    trials = new_trials()
    fmin(objective, CASE, algo, 4, trials=trials, verbose=False)
    running, done = seen
    assert running["state"] == JOB_STATE_RUNNING
    assert running["book_time"] is not None
    assert running["result"] == {"status": "new"}
    assert done["state"] == JOB_STATE_DONE
    assert sorted(trials.losses()) == [0, 1, 2, 3]


@pytest.mark.parametrize("queue", [1, 3])
def test_proposals_are_made_ahead_while_all_workers_are_busy(new_trials, tmp_path, queue):
    make_fifos(tmp_path, "there-0", "there-1", "go-0", "go-1")
    place = str(tmp_path)
    proposed, at_once = threading.Semaphore(0), []

    def objective(case):
        if case < 2:
            signal_at(f"{place}/there-{int(case)}")
            wait_at(f"{place}/go-{int(case)}")
        return case

    def algo(new_ids, domain, trials, seed):
        outstanding = trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_RUNNING])
        at_once.append(outstanding + len(new_ids))
        proposed.release(len(new_ids))
        return in_order(new_ids, domain, trials, seed)

    trials = new_trials()
    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            fmin, objective, CASE, algo, 12, max_queue_len=queue, trials=trials, verbose=False
        )
        wait_at(tmp_path / "there-0")
        wait_at(tmp_path / "there-1")
        try:
            assert all(proposed.acquire(timeout=DEADLINE_SECONDS) for _ in range(2 + queue))
            assert len(trials.trials) <= 2 + queue
        finally:
            signal_at(tmp_path / "go-0")
            signal_at(tmp_path / "go-1")
        running.result(DEADLINE_SECONDS)
    assert sorted(trials.losses()) == list(range(12))
    assert max(at_once) == 2 + queue


def test_one_worker_has_a_proposal_less_ahead(new_trials):
    at_once = []

    def algo(new_ids, domain, trials, seed):
        outstanding = trials.count_by_state_unsynced([JOB_STATE_NEW, JOB_STATE_RUNNING])
        at_once.append(outstanding + len(new_ids))
        return in_order(new_ids, domain, trials, seed)

    fmin(lambda case: case, CASE, algo, 5, trials=new_trials(1), verbose=False)
    assert at_once == [1] * 5


class Bar:
    """hyperopt's protocol of a progress bar."""

    def __init__(self):
        self.calls = []
        self.postfixes = []

    def __call__(self, **arguments):
        self.calls.append(arguments)
        return self

    def __enter__(self):
        self.calls.append("enter")
        return self

    def __exit__(self, *error):
        self.calls.append("exit")

    def update(self, n):
        self.calls.append(n)

    @property
    def postfix(self):
        return self.postfixes[-1]

    @postfix.setter
    def postfix(self, text):
        self.postfixes.append(text)


def test_progress_and_going_on_with_the_same_trials(new_trials):
    trials = new_trials(parallelism=1)

    def objective(case):
        if case == 1:
            raise ValueError
        return {"status": "ok", "loss": float("nan") if case == 0 else 10.0 - case}

    first, second = Bar(), Bar()
    fmin(objective, CASE, in_order, 4, trials=trials, show_progressbar=first)
    assert first.calls == [{"initial": 0, "total": 4}, "enter", 1, 1, 1, 1, "exit"]
    assert first.postfixes == [
        "best loss: ?, 1 failed",
        "best loss: 8.0, 1 failed",
        "best loss: 7.0, 1 failed",
    ]
    assert len(trials) == 3

    best = fmin(objective, CASE, in_order, 6, trials=trials, show_progressbar=second)
    assert second.calls == [{"initial": 3, "total": 6}, "enter", 1, 1, 1, "exit"]
    assert [document["tid"] for document in trials.trials] == [0, 2, 3, 4, 5, 6]
    assert best == {"case": 6}


def test_nothing_is_launched_when_the_trials_are_there_already(spark, new_trials):
    trials = new_trials()
    fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)
    before = jobs(spark)
    assert fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False) == {"case": 0}
    assert jobs(spark) == before
    assert len(trials) == 3


def test_no_bar_unless_wanted(new_trials, capsys):
    trials = new_trials(parallelism=1)
    fmin(lambda case: case, CASE, in_order, 1, trials=trials, verbose=True, show_progressbar=False)
    fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False, show_progressbar=True)
    assert capsys.readouterr() == ("", "")


def test_more_workers_than_trials_are_not_launched(new_trials):
    trials = new_trials()
    fmin(lambda case: case, CASE, in_order, 1, trials=trials, verbose=False)
    assert trials.timings.workers == 1


def test_timings_add_up(new_trials):
    trials = new_trials()
    fmin(lambda case: sum(range(10_000)), CASE, in_order, 10, trials=trials, verbose=False)
    timings = trials.timings
    assert timings.workers == 2
    assert 0 < timings.pool_start <= timings.total
    assert 0 < timings.busy <= timings.total * timings.workers
    assert 0 < timings.suggesting <= timings.total
    assert 0 < timings.busy_share <= 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"fn": 3}, r"fn must be callable .* got 3 \(int\)"),
        ({"algo": "tpe"}, r"algo must be callable, .* got 'tpe' \(str\)"),
        ({"max_queue_len": 0}, "max_queue_len must be a whole number, at least 1, got 0"),
        ({"allow_trials_fmin": False}, "allow_trials_fmin=False would leave the trials"),
        (
            {"trials_save_file": "nowhere/trials"},
            "trials_save_file nowhere/trials cannot be made: there is no directory nowhere",
        ),
        ({"trials_save_file": "."}, "a directory: name a file in it"),
        ({"points_to_evaluate": {"case": 1}}, "must be a list of dictionaries, got a dict"),
        ({"points_to_evaluate": [{"case": 1}, 2]}, r"points_to_evaluate\[1\] must be a dictionary .* got 2"),
        ({"points_to_evaluate": [{"cases": 1}]}, r"\[0\] has \['cases'\].* its labels are \['case'\]"),
        ({"points_to_evaluate": [{}]}, r"\[0\] is not a point of the space.*no value for \['case'\]"),
    ],
)
def test_nonsense_is_refused_before_anything_is_launched(spark, new_trials, arguments, message):
    before = jobs(spark)
    whole = {"fn": lambda case: case, "algo": rand.suggest, **arguments}
    with pytest.raises(RefusedError, match=message):
        fmin(space=CASE, max_evals=3, trials=new_trials(parallelism=1), verbose=False, **whole)
    assert jobs(spark) == before


def test_a_second_timeout_is_ignored_aloud(new_trials):
    trials = new_trials(parallelism=1, timeout=3000)
    with pytest.warns(SparkoptWarning, match="timeout of 4000 s is ignored: SparkTrials has one of 3000 s"):
        fmin(lambda case: case, CASE, in_order, 1, timeout=4000, trials=trials, verbose=False)
    assert trials.timeout == 3000


def test_hyperopts_own_trials_stay_hyperopts(spark):
    before = jobs(spark)
    trials = hyperopt.Trials()
    best = sparkopt.fmin(
        lambda case: case,
        CASE,
        rand.suggest,
        3,
        trials=trials,
        rstate=np.random.default_rng(0),
        verbose=False,
    )
    assert best == trials.argmin
    assert len(trials) == 3
    assert jobs(spark) == before
