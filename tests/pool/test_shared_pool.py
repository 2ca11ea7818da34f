"""Several searches on one pool of workers, one after another and at once."""

from __future__ import annotations

import pickle
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise

import pytest
from hyperopt import hp, rand

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.coordinator import Coordinator
from sparkopt.core.records import Policy
from sparkopt.errors import PoolClosedError, RefusedError
from sparkopt.spark.barrier import gang_sizes
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


@pytest.fixture
def pool(spark):
    with WorkerPool(2, spark_session=spark) as pool:
        yield pool


def test_searches_one_after_another_take_one_job(spark, pool):
    before = jobs(spark)
    pids = set()
    for sign in (1, -1):

        def objective(case, sign=sign):
            import os

            return {"status": "ok", "loss": sign * float(case), "pid": os.getpid()}

        trials = SparkTrials(pool=pool)
        best = fmin(objective, CASE, in_order, 10, trials=trials, verbose=False)
        assert best == {"case": 0 if sign == 1 else 9}
        assert (trials.parallelism, trials.timings.workers) == (2, 2)
        pids |= {result["pid"] for result in trials.results}
    assert len(pids) <= 2
    assert len(jobs(spark) - before) <= 1


def test_searches_at_once_share_the_workers(pool, tmp_path):
    make_fifos(tmp_path, "side-0", "side-1")
    place = str(tmp_path)

    def search(side):
        def objective(case):
            return float(meet(place, side)) if case == 0 else -float(case)

        trials = SparkTrials(pool=pool)
        fmin(objective, CASE, in_order, 5, trials=trials, verbose=False)
        return sorted(trials.losses())

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(search, range(2))) == [[-4, -3, -2, -1, 1]] * 2


def test_a_search_that_proposes_much_leaves_every_other_turn_to_the_other(spark, tmp_path, monkeypatch):
    make_fifos(tmp_path, "there", "go")
    place = str(tmp_path)
    submitted, submit = threading.Semaphore(0), Coordinator.submit

    def submit_and_say_so(coordinator, study, proposals, values):
        submit(coordinator, study, proposals, values)
        submitted.release(len(proposals))

    def order(case, waits):
        turn = take_ticket(place)
        if waits and case == 0:
            signal_at(f"{place}/there")
            wait_at(f"{place}/go")
        return turn

    monkeypatch.setattr(Coordinator, "submit", submit_and_say_so)
    with WorkerPool(1, spark_session=spark) as pool, ThreadPoolExecutor(2) as threads:
        much, little = SparkTrials(pool=pool), SparkTrials(pool=pool)

        def search(trials, number, waits):
            objective = partial(order, waits=waits)
            return threads.submit(
                fmin, objective, CASE, in_order, number, trials=trials, max_queue_len=number, verbose=False
            )

        running = [search(much, 12, True)]
        wait_at(tmp_path / "there")
        running.append(search(little, 4, False))
        try:
            assert all(submitted.acquire(timeout=DEADLINE_SECONDS) for _ in range(16))
        finally:
            signal_at(tmp_path / "go")
        for each in running:
            each.result(DEADLINE_SECONDS)
    turns = little.losses()
    assert turns[0] in (1, 2)
    assert [later - turn for turn, later in pairwise(turns)] == [2, 2, 2]
    assert sorted(much.losses() + turns) == list(range(16))


def test_the_end_of_one_search_leaves_the_other_alone(pool, tmp_path):
    make_fifos(tmp_path, "there", "go")
    place = str(tmp_path)

    def waits(case):
        signal_at(f"{place}/there")
        wait_at(f"{place}/go")
        return case

    with ThreadPoolExecutor(1) as threads:
        slow = SparkTrials(pool=pool)
        running = threads.submit(fmin, waits, CASE, in_order, 1, trials=slow, verbose=False)
        wait_at(tmp_path / "there")

        def stop(trials):
            return True, []

        quick = SparkTrials(pool=pool)
        fmin(lambda case: case, CASE, in_order, 50, trials=quick, early_stop_fn=stop, verbose=False)
        assert quick.fmin_cancelled_reason == "early stopping condition"
        signal_at(tmp_path / "go")
        assert running.result(60) == {"case": 0}
    assert slow.losses() == [0]


def test_never_more_at_once_than_the_pool_has_workers(pool, tmp_path):
    place = str(tmp_path)

    def objective(case):
        number = take_ticket(place)
        give_back(place, number)
        return number

    def search(_):
        trials = SparkTrials(pool=pool)
        fmin(objective, CASE, in_order, 20, trials=trials, max_queue_len=3, verbose=False)
        return set(trials.losses())

    with ThreadPoolExecutor(3) as threads:
        assert set().union(*threads.map(search, range(3))) <= {0, 1}


def test_broadcasts_that_the_workers_were_launched_without(spark, pool):
    data = spark.sparkContext.broadcast([3.0, 4.0])
    try:
        trials = SparkTrials(pool=pool)
        fmin(lambda case: data.value[int(case)], CASE, in_order, 2, trials=trials, verbose=False)
        assert trials.losses() == [3.0, 4.0]
        assert list(spark.sparkContext._pickled_broadcast_vars) == []
    finally:
        data.destroy()


def test_trials_of_a_pool_go_on_without_it(spark, pool):
    trials = SparkTrials(pool=pool)
    fmin(lambda x: x, hp.uniform("x", 0, 1), rand.suggest, 3, trials=trials, verbose=False)
    again = pickle.loads(pickle.dumps(trials))
    assert again.pool is None
    assert again.trials == trials.trials


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_pool_that_is_not_open(spark, when):
    pool = WorkerPool(1, spark_session=spark)
    if when == "after":
        with pool:
            assert pool.is_open
    assert not pool.is_open
    trials = SparkTrials(pool=pool)
    with pytest.raises(PoolClosedError, match="Use it inside its `with WorkerPool"):
        fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)
    assert trials.trials == []


def test_a_pool_that_is_closed_under_a_search(spark, tmp_path):
    make_fifos(tmp_path, "never")
    path = str(tmp_path / "never")

    def close(trials):
        pool.close()
        return False, []

    with WorkerPool(2, spark_session=spark) as pool:
        trials = SparkTrials(pool=pool)
        with pytest.raises(PoolClosedError, match="closed while the study was running"):
            fmin(
                lambda case: wait_at(path) if case == 1 else case,
                CASE,
                in_order,
                9,
                trials=trials,
                early_stop_fn=close,
                verbose=False,
            )
    assert trials.losses()[0] == 0
    assert trials.count_cancelled_trials() >= 1


@pytest.mark.parametrize(
    "arguments", [{"parallelism": 2}, {"spark_session": object()}, {"resource_profile": object()}]
)
def test_what_is_the_pools_is_not_the_trials(spark, arguments):
    pool = WorkerPool(1, spark_session=spark)
    with pytest.raises(RefusedError, match="give it to WorkerPool"):
        SparkTrials(pool=pool, **arguments)


class TestPatience:
    @pytest.mark.parametrize(
        ("arguments", "silence", "grace"),
        [
            ({}, 10, 30),
            ({"grace": 60}, 20, 60),
            ({"heartbeat": 5}, 15, 30),
            ({"heartbeat": 0.1, "grace": 0.6}, 0.3, 0.6),
            ({"policy": Policy(grace=12)}, 10, 12),
        ],
    )
    def test_what_is_asked_for_is_what_the_machine_keeps(self, spark, arguments, silence, grace):
        policy = WorkerPool(1, spark_session=spark, **arguments)._policy
        assert (policy.silence, policy.grace) == pytest.approx((silence, grace))

    @pytest.mark.parametrize("heartbeat", [0, -1, float("nan"), float("inf")])
    def test_a_heartbeat_that_is_no_time_is_refused(self, spark, heartbeat):
        with pytest.raises(RefusedError, match="heartbeat must be a positive number of seconds"):
            WorkerPool(1, spark_session=spark, heartbeat=heartbeat)

    @pytest.mark.parametrize("grace", [0, 2.9])
    def test_a_grace_that_is_too_short_is_refused(self, spark, grace):
        with pytest.raises(RefusedError, match="at least three heartbeats of 1 s, got"):
            WorkerPool(1, spark_session=spark, grace=grace)

    def test_workers_are_told(self, spark):
        with WorkerPool(1, spark_session=spark, heartbeat=0.5, grace=4) as pool:
            (gang,) = pool._launches.all()
            assert (gang._spec.heartbeat, gang._spec.grace) == (0.5, 4)
            trials = SparkTrials(pool=pool)
            fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)
        assert len(trials) == 2


class TestGangs:
    @pytest.mark.parametrize(
        ("workers", "size", "sizes"),
        [(4, None, [4]), (4, 2, [2, 2]), (5, 2, [2, 2, 1]), (3, 8, [3]), (3, 1, [1, 1, 1]), (1, 1, [1])],
    )
    def test_their_sizes(self, workers, size, sizes):
        assert gang_sizes(workers, size) == sizes

    def test_each_is_a_job_of_its_own(self, spark):
        before = jobs(spark)
        with WorkerPool(2, spark_session=spark, gang_size=1) as pool:
            trials = SparkTrials(pool=pool)
            fmin(lambda case: case, CASE, in_order, 10, trials=trials, verbose=False)
        assert len(trials) == 10
        assert len(jobs(spark) - before) == 2

    def test_nonsense_is_refused(self, spark):
        with pytest.raises(RefusedError, match="gang_size must be None or a whole number, at least 1, got 0"):
            WorkerPool(2, spark_session=spark, gang_size=0)

    def test_one_that_dies_leaves_the_trials_of_the_other_alone(self, spark, workers_of_spark, tmp_path):
        """A trial of each gang runs; one gang's task is killed; only that trial runs again."""
        make_fifos(tmp_path, "there-0", "there-1", "go-0", "go-1")
        place = str(tmp_path)

        def objective(case):
            import os
            from pathlib import Path

            case = int(case)
            Path(f"{place}/ran-{case}-{os.urandom(4).hex()}").touch()
            if len(list(Path(place).glob(f"ran-{case}-*"))) == 1:
                Path(f"{place}/pid-{case}").write_text(str(os.getpid()))
                signal_at(f"{place}/there-{case}")
                wait_at(f"{place}/go-{case}")
            return {"status": "ok", "loss": case, "pid": os.getpid()}

        import psutil

        with (
            WorkerPool(2, spark_session=spark, gang_size=1) as pool,
            ThreadPoolExecutor(1) as threads,
        ):
            trials = SparkTrials(pool=pool)
            running = threads.submit(fmin, objective, CASE, in_order, 2, trials=trials, verbose=False)
            wait_at(tmp_path / "there-0")
            wait_at(tmp_path / "there-1")
            victim = psutil.Process(int((tmp_path / "pid-0").read_text()))
            survivor = int((tmp_path / "pid-1").read_text())
            # The nursery, process A, and then the one that is Spark's.
            victim.parents()[2].kill()
            victim.wait(60)
            signal_at(tmp_path / "go-1")
            running.result(60)
        assert len(list(tmp_path.glob("ran-0-*"))) == 2
        assert len(list(tmp_path.glob("ran-1-*"))) == 1
        assert trials.results[1]["pid"] == survivor
        assert trials.losses() == [0, 1]
