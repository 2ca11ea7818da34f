"""Searches that are steered while fmin runs: points from outside, stops, and their own control service."""

from __future__ import annotations

import pickle
from concurrent.futures import Future, ThreadPoolExecutor

import pytest
from hyperopt import hp, rand

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.control import Control
from sparkopt.errors import BadRequestError, PoolClosedError, RefusedError, WrongStateError
from sparkopt.wire.v1 import control_pb2 as pb
from tests.control.control_clients import Client
from tests.support.post import SECONDS, Post
from tests.support.study_tools import in_order

SPACE = {"case": hp.uniformint("case", 0, 1000), "kind": hp.choice("kind", ["round", "square"])}


def meeting(post):
    """An objective that meets the test at its post, says its case, and returns that."""
    path = post.path

    def objective(point):
        import json
        import os
        import socket

        case = int(point["case"])
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            said = {"word": str(case), "pid": os.getpid(), "parent": os.getppid()}
            sock.sendall(json.dumps(said).encode() + b"\n")
            word = sock.recv(100).decode()
            return float(case if word == "done" else word)

    return objective


class Running:
    """A search that runs in a thread of its own, on workers that meet the test."""

    def __init__(self, threads, post, trials, evals, verbose=False, **arguments) -> None:
        self.trials = trials
        self.result: Future = threads.submit(
            fmin, meeting(post), SPACE, in_order, evals, trials=trials, verbose=verbose, **arguments
        )


@pytest.fixture
def post(tmp_path):
    post = Post(tmp_path / "post")
    yield post
    post.close()


@pytest.fixture
def threads():
    with ThreadPoolExecutor(2) as threads:
        yield threads


@pytest.fixture
def new_trials(spark):
    def new(parallelism=1, **arguments):
        return SparkTrials(parallelism, spark_session=spark, control=True, **arguments)

    return new


def test_its_counts_are_those_of_the_trials(new_trials):
    results = [1.0, {"status": "fail"}, None, {"status": "ok", "loss": 2.0}, {"loss": 3.0}]
    counts = []

    def look(trials):
        client = Client(trials.control_address, trials.control_token)
        counts.append(client.call("GetStatus").trials)
        client.close()
        return False, []

    trials = new_trials()

    def objective(point):
        return results[int(point["case"])]

    fmin(objective, SPACE, in_order, 6, trials=trials, early_stop_fn=look, verbose=False)
    assert (trials.count_successful_trials(), trials.count_failed_trials()) == (2, 4)
    # When the second success is heard of, those after it may have settled.
    assert counts[-1].ok == 2
    assert counts[-1].failed >= 2


@pytest.fixture
def search(threads, post, new_trials):
    """Begins a search, and gives it, a client of it and the visit of its first trial."""
    clients = []

    def begin(evals, parallelism=1, journal=None, trials=None, **arguments):
        if trials is None:
            trials = new_trials(parallelism, journal=journal)
        running = Running(threads, post, trials, evals, **arguments)
        first = post.visit()
        clients.append(Client(trials.control_address, trials.control_token))
        return running, clients[-1], first

    yield begin
    for client in clients:
        client.close()


def struct(**values):
    point = pb.Point()
    point.struct.update(values)
    return point


def cases(trials):
    return [document["misc"]["vals"]["case"][0] for document in trials._dynamic_trials]


class TestPoints:
    def test_they_come_next_and_beyond_max_evals(self, search, post):
        running, client, first = search(2)
        points = [struct(case=500, kind=1), pb.Point(json='{"case": 501, "kind": 0}')]
        tids = client.call("SubmitTrials", points=points).tids
        assert tids == [1, 2]
        words = [first.word]
        first.answer("7")
        for _ in range(3):
            visit = post.visit()
            words.append(visit.word)
            visit.answer("7")
        assert words == ["0", "500", "501", "3"]
        assert running.result.result(SECONDS)
        assert running.trials.losses() == [7] * 4
        document = running.trials.trials[1]
        assert document["misc"]["vals"] == {"case": [500], "kind": [1]}
        assert type(document["misc"]["vals"]["case"][0]) is int

    def test_a_search_that_only_waits_for_its_last_trial_takes_them(self, search, post):
        running, client, first = search(1)
        client.call("SubmitTrials", points=[struct(case=500, kind=1)])
        first.answer()
        visit = post.visit()
        assert visit.word == "500"
        visit.answer()
        running.result.result(SECONDS)
        assert cases(running.trials) == [0, 500]

    def test_the_progress_bar_counts_them(self, search, post):
        class Bar:
            postfix = None

            def __init__(self, initial, total):
                self.total, self.done = total, initial

            def update(self, n):
                self.done += n

            def __enter__(self):
                return self

            def __exit__(self, *_):
                pass

        bars = []

        def progress(initial, total):
            bars.append(Bar(initial, total))
            return bars[-1]

        running, client, first = search(1, verbose=True, show_progressbar=progress)
        client.call("SubmitTrials", points=[struct(case=500, kind=1)])
        first.answer()
        post.visit().answer()
        running.result.result(SECONDS)
        (bar,) = bars
        assert (bar.total, bar.done) == (2, 2)

    @pytest.mark.parametrize(
        ("bad", "field", "why"),
        [
            (struct(case=1, colour=2), "points[1]", "which the space does not have"),
            (struct(case=1), "points[1]", "no value for"),
            (struct(case=1, kind=2), "points[1]", "is not a point of the space"),
            (struct(case="1", kind=1), "points[1]", "must be a finite number"),
            (struct(case=True, kind=1), "points[1]", "must be a finite number"),
            (pb.Point(json='{"case": 1e999, "kind": 1}'), "points[1]", "must be a finite number"),
            (pb.Point(json='{"case": [1], "kind": 1}'), "points[1]", "must be a finite number"),
            (pb.Point(json="nonsense"), "points[1]", "is not JSON"),
            (pb.Point(), "points[1]", "has no values"),
        ],
    )
    def test_what_is_no_point_is_refused_with_all_the_others(self, search, bad, field, why):
        running, client, first = search(1)
        with pytest.raises(BadRequestError, match=why) as caught:
            client.call("SubmitTrials", points=[struct(case=1, kind=1), bad])
        assert (caught.value.reason, caught.value.field) == ("BAD_POINT", field)
        first.answer()
        running.result.result(SECONDS)
        assert cases(running.trials) == [0]

    def test_none_and_too_many(self, search):
        running, client, first = search(1)
        for points in ([], [struct(case=1, kind=1)] * 1001):
            assert client.refusal("SubmitTrials", points=points) == (BadRequestError, "BAD_POINT")
        first.answer()
        running.result.result(SECONDS)

    def test_a_search_that_ends_refuses_them(self, spark, threads, post):
        """One that finishes what runs takes no more, and neither does one that has ended."""
        with WorkerPool(1, spark_session=spark, control=True) as pool:
            client = Client(pool.control_address, pool.control_token)
            running = Running(threads, post, SparkTrials(pool=pool), 3)
            visit = post.visit()
            study = client.call("StopStudy", finish_running=True).name
            ended = (WrongStateError, "STUDY_ENDED")
            points = [struct(case=1, kind=1)]
            assert client.refusal("SubmitTrials", points=points) == ended
            visit.answer()
            running.result.result(SECONDS)
            assert client.refusal("SubmitTrials", study=study, points=points) == ended
            client.close()

    def test_one_that_asks_while_the_search_ends_is_answered(self, search, post, threads):
        """It has stopped by itself, and waits for the last trial: the inbox is not read any more."""
        asked: list[Future] = []
        found = []

        def stop(trials):
            # In the study's own thread: it cannot look into its inbox meanwhile.
            asked.append(threads.submit(found[0].refusal, "SubmitTrials", points=[struct(case=1, kind=1)]))
            return True, []

        running, client, first = search(5, early_stop_fn=stop)
        found.append(client)
        first.answer()
        running.result.result(SECONDS)
        assert asked[0].result(SECONDS)[1] in ("STUDY_ENDED", "NO_STUDY", "")
        assert running.trials.fmin_cancelled_reason == "early stopping condition"

    def test_a_journal_has_them_beside_max_evals(self, search, post, new_trials, tmp_path):
        journal = tmp_path / "journal"
        running, client, first = search(2, journal=journal)
        client.call("SubmitTrials", points=[struct(case=500, kind=1), struct(case=501, kind=1)])
        first.answer()
        visit = post.visit()
        assert visit.word == "500"
        client.call("StopStudy")
        visit.wait_for_the_end()
        running.result.result(SECONDS)
        assert running.trials.fmin_cancelled_reason == "fmin run cancelled by user"
        again, _, first = search(2, journal=journal)
        words = [first.word]
        first.answer()
        for _ in range(2):
            visit = post.visit()
            words.append(visit.word)
            visit.answer()
        again.result.result(SECONDS)
        assert words == ["500", "501", "3"]
        assert cases(again.trials) == [0, 500, 501, 3]


class TestStopping:
    def test_what_has_finished_is_kept_and_the_rest_is_cancelled(self, search, post):
        running, client, first = search(50, parallelism=2)
        second = post.visit()
        first.answer("3")
        third = post.visit()
        assert client.call("StopStudy").kind == pb.STUDY_KIND_SEARCH
        second.wait_for_the_end()
        third.wait_for_the_end()
        best = running.result.result(SECONDS)
        assert best["case"] == int(first.word)
        trials = running.trials
        assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
        assert trials.losses() == [3.0]
        # Two that ran, and the next one, if it was proposed before the study heard of its end.
        assert trials.count_cancelled_trials() in (2, 3)

    def test_what_runs_may_finish(self, search, post):
        running, client, first = search(50, parallelism=2, max_queue_len=3)
        second = post.visit()
        told = client.call("StopStudy", finish_running=True)
        assert (told.trials.leased, told.trials.pending) == (2, 0)
        first.answer("3")
        second.answer("2")
        best = running.result.result(SECONDS)
        assert best["case"] == int(second.word)
        trials = running.trials
        assert sorted(trials.losses()) == [2.0, 3.0]
        assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
        assert post.nobody_waits()

    def test_what_may_finish_is_cancelled_after_all(self, search, post):
        running, client, first = search(50)
        first.answer("3")
        second = post.visit()
        client.call("StopStudy", finish_running=True)
        client.call("StopStudy")
        second.wait_for_the_end()
        running.result.result(SECONDS)
        assert (running.trials.losses(), running.trials.count_cancelled_trials()) == ([3.0], 1)

    def test_the_timeout_holds_for_what_may_finish(self, search, post, new_trials):
        running, client, first = search(50, trials=new_trials(timeout=5))
        first.answer("3")
        second = post.visit()
        client.call("StopStudy", finish_running=True)
        second.wait_for_the_end()
        running.result.result(SECONDS)
        assert running.trials.fmin_cancelled_reason == "fmin run cancelled by user"
        assert running.trials.losses() == [3.0]

    def test_while_the_algorithm_thinks(self, spark, threads, post):
        """What it comes up with after that never runs."""
        import threading

        thinking, think_on = threading.Event(), threading.Event()

        def slow(new_ids, domain, trials, seed):
            if new_ids[0] == 1:
                thinking.set()
                assert think_on.wait(SECONDS)
            return in_order(new_ids, domain, trials, seed)

        with WorkerPool(2, spark_session=spark, control=True) as pool:
            client = Client(pool.control_address, pool.control_token)
            trials = SparkTrials(pool=pool)
            result = threads.submit(fmin, meeting(post), SPACE, slow, 9, trials=trials, verbose=False)
            first = post.visit()
            assert thinking.wait(SECONDS)
            client.call("StopStudy", finish_running=True)
            think_on.set()
            first.answer("3")
            result.result(SECONDS)
            client.close()
        assert post.nobody_waits()
        assert cases(trials) == [0]
        assert trials.fmin_cancelled_reason == "fmin run cancelled by user"

    def test_of_a_search_that_has_ended_it_changes_nothing(self, spark, threads, post):
        with WorkerPool(1, spark_session=spark, control=True) as pool:
            client = Client(pool.control_address, pool.control_token)
            trials = SparkTrials(pool=pool)
            fmin(lambda point: point["case"], SPACE, in_order, 3, trials=trials, verbose=False)
            (study,) = client.call("GetStatus").studies
            told = client.call("StopStudy", study=study.name)
            assert told.ended == study.ended
            assert (told.trials.ok, told.best_loss, told.best_tid) == (3, 0.0, 0)
            client.close()
        assert trials.fmin_cancelled_reason is None


def test_a_trial_that_is_cancelled_is_recorded_and_the_search_goes_on(search, post):
    running, client, first = search(2)
    client.call("CancelTrial", tid=0, reason="hopeless")
    first.wait_for_the_end()
    post.visit().answer()
    running.result.result(SECONDS)
    assert running.trials.losses() == [1.0]
    assert running.trials._dynamic_trials[0]["misc"]["error"][1] == "hopeless"


def test_an_evaluation_is_no_search(spark):
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        client = Client(pool.control_address, pool.control_token)
        with pool.open_evaluation(lambda point: point["x"]):
            (study,) = client.call("GetStatus").studies
            assert study.kind == pb.STUDY_KIND_EVALUATION
            refusal = client.refusal("SubmitTrials", points=[struct(x=1)])
            assert refusal == (WrongStateError, "NOT_A_SEARCH")
            client.call("StopStudy")
            assert client.call("GetStatus").studies[0].HasField("ended")
        client.close()


class TestItsOwnControl:
    def test_it_is_told_to_other_threads_and_to_callbacks(self, search, post):
        told = []

        def stop(trials):
            told.append((trials.control_address, trials.control_token))
            return False, []

        running, client, first = search(1, early_stop_fn=stop)
        inside = (running.trials.control_address, running.trials.control_token)
        assert client.call("GetStatus").max_parallelism == 1
        first.answer()
        running.result.result(SECONDS)
        assert told == [inside]
        with pytest.raises(PoolClosedError, match="no search runs"):
            _ = running.trials.control_address
        with pytest.raises(PoolClosedError, match="no search runs"):
            _ = running.trials.control_token

    def test_without_it_there_is_none(self, spark, post, threads):
        running = Running(threads, post, SparkTrials(1, spark_session=spark), 1)
        visit = post.visit()
        with pytest.raises(PoolClosedError, match="no control service"):
            _ = running.trials.control_address
        visit.answer()
        running.result.result(SECONDS)

    def test_beside_a_pool_it_is_refused(self, spark):
        pool = WorkerPool(1, spark_session=spark)
        with pytest.raises(RefusedError, match="give it to WorkerPool"):
            SparkTrials(pool=pool, control=True)

    def test_trials_pickle_without_it(self, search, spark):
        control = Control(token="told-to-nobody")
        running, _, first = search(1, trials=SparkTrials(1, spark_session=spark, control=control))
        during = pickle.loads(pickle.dumps(running.trials))
        assert running.trials.control_token == "told-to-nobody"
        assert b"told-to-nobody" not in pickle.dumps(running.trials)
        first.answer()
        running.result.result(SECONDS)
        for trials in (during, pickle.loads(pickle.dumps(running.trials))):
            assert trials.control is None
            with pytest.raises(PoolClosedError):
                _ = trials.control_address

    def test_random_search_is_watched_as_well(self, spark):
        """Its proposals come from another path, with numpy's numbers."""
        with WorkerPool(1, spark_session=spark, control=True) as pool:
            client = Client(pool.control_address, pool.control_token)
            trials = SparkTrials(pool=pool)
            fmin(lambda point: point["case"], SPACE, rand.suggest, 3, trials=trials, verbose=False)
            listed = client.call("ListTrials").trials
            client.close()
        assert [dict(trial.values) for trial in listed] == [
            {label: found[0] for label, found in document["misc"]["vals"].items()}
            for document in trials.trials
        ]
