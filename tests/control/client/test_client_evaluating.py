"""evaluate(): an iterable of points to outcomes, in a loop or an asynchronous one."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading

import numpy as np
import pytest
from hyperopt import hp

from sparkopt import ControlClient
from sparkopt.client import TrialState
from sparkopt.errors import RefusedError, StudyStoppedError, UnreachableError
from tests.support.driven import runs_in


def test_each_point_of_a_list_has_its_outcome(evaluation, client):
    outcomes = list(client.evaluate([{"x": x} for x in range(50)]))
    assert sorted((outcome.point["x"], outcome.result, outcome.loss) for outcome in outcomes) == [
        (x, x**2, float(x**2)) for x in range(50)
    ]
    assert all(outcome.ok for outcome in outcomes)
    assert len({outcome.id for outcome in outcomes}) == 50
    assert {outcome.trial.study for outcome in outcomes} == {evaluation.name}
    assert all(outcome.trial.request_id == outcome.id for outcome in outcomes)
    assert all(outcome.trial.submitted.utcoffset().total_seconds() == 0 for outcome in outcomes)


def test_an_empty_list_has_none(evaluation, client):
    assert list(client.evaluate([])) == []


@pytest.mark.parametrize("in_flight", [1, 2, 5])
def test_a_generator_is_asked_only_when_fewer_than_in_flight_have_no_outcome(evaluation, client, in_flight):
    seen, without = [], []

    def points():
        for x in range(20):
            without.append(x - len(seen))
            yield {"x": x}

    for outcome in client.evaluate(points(), in_flight=in_flight):
        seen.append(outcome)
    assert len(seen) == 20
    assert max(without) == in_flight - 1


def test_by_default_one_more_is_on_its_way_than_can_run(evaluation, client):
    without, seen = [], []

    def points():
        for x in range(10):
            without.append(x - len(seen))
            yield {"x": x}

    for outcome in client.evaluate(points()):
        seen.append(outcome)
    assert max(without) == 2  # beside this one, with two workers


def test_outcomes_come_in_the_order_in_which_they_complete(evaluation, client, post):
    with client.evaluation() as stream:
        for x in (1, 2):
            stream.submit({"x": x, "meet": post.path})
        visits = post.visits(2)
        visits["2"].answer()
        assert stream.next().result == 4
        visits["1"].answer()
        assert stream.next().result == 1


def test_whatever_the_generator_raises_comes_out(evaluation, client):
    def points():
        yield {"x": 1}
        raise LookupError("no more ideas")

    outcomes = client.evaluate(points())
    with pytest.raises(LookupError, match="no more ideas"):
        list(outcomes)


def test_a_loop_that_is_left_early_leaves_nothing(evaluation, client):
    for outcome in client.evaluate({"x": x} for x in range(1000)):
        assert outcome.ok
        break
    del outcome
    gc.collect()  # a test's own frame may hold the iterator for a moment
    assert [thread for thread in threading.enumerate() if thread.name == "sparkopt-evaluation"] == []


def test_an_id_that_was_seen_is_answered_and_not_run_again(evaluation, client, tmp_path):
    runs = tmp_path / "runs"
    point = {"x": 3, "runs": str(runs)}
    (first,) = client.evaluate([("mine", point)])
    (again,) = client.evaluate([("mine", point)])
    assert (first.id, again.id) == ("mine", "mine")
    assert again.trial == first.trial
    assert runs_in(runs) == [3]


def test_an_id_that_was_another_points_is_rejected_and_the_rest_goes_on(evaluation, client):
    (first,) = client.evaluate([("mine", {"x": 3})])
    by_id = {each.id: each for each in client.evaluate([("mine", {"x": 4}), ("other", {"x": 5})])}
    assert first.ok
    assert by_id["other"].result == 25
    rejected = by_id["mine"]
    assert (rejected.ok, rejected.trial, rejected.result, rejected.loss) == (False, None, None, None)
    assert rejected.rejected == "ID_REUSED"
    assert "mine" in rejected.message
    assert rejected.point == {"x": 4}


def test_a_trial_that_fails_says_why(evaluation, client):
    points = [{"x": 1, "raises": "no such x"}, {"x": 2, "dies": True}, {"x": 3, "more": True}]
    by_x = {outcome.point["x"]: outcome for outcome in client.evaluate(points)}
    raised, died, fine = by_x[1], by_x[2], by_x[3]
    assert raised.trial.state is TrialState.FAILED
    assert raised.failure.type.endswith("ValueError")
    assert raised.failure.message == "no such x"
    assert "square" in raised.failure.traceback
    assert (raised.ok, raised.result, raised.loss) == (False, None, None)
    assert died.trial.state is TrialState.FAILED
    assert "3" in died.failure.message
    assert fine.result == {"loss": 9, "status": "ok", "parts": [1, 2.5, "three"]}
    assert fine.loss == 9.0


def test_points_of_a_space_are_named_by_its_labels(pool, client):
    space = {"kind": hp.choice("kind", ["a", "b"]), "x": hp.uniform("x", 0, 1)}
    with pool.open_evaluation(lambda point: {"loss": point["x"], "status": "ok", "is": point["kind"]}, space):
        points = [{"kind": 1, "x": np.float64(0.5)}, {"kind": np.int64(0), "x": 0.25}, {"x": 0.5}]
        outcomes = {outcome.loss: outcome for outcome in client.evaluate(points)}
    assert outcomes[0.5].result == {"loss": 0.5, "status": "ok", "is": "b"}
    assert outcomes[0.5].trial.values == {"kind": 1, "x": 0.5}
    assert outcomes[0.25].result == {"loss": 0.25, "status": "ok", "is": "a"}
    assert outcomes[None].rejected == "BAD_POINT"


@pytest.mark.parametrize("point", [{"x": float("nan")}, {"x": object()}, 3, [("x", 1)]])
def test_a_point_that_json_cannot_say_is_refused(evaluation, client, point):
    with pytest.raises(RefusedError, match="point"):
        list(client.evaluate([point]))


def test_as_many_as_none_in_flight_are_refused(evaluation, client):
    with pytest.raises(RefusedError, match="in_flight"):
        client.evaluate([], in_flight=0)


def test_a_study_that_is_stopped_says_so(evaluation, client, post):
    outcomes = client.evaluate([{"x": x, "meet": post.path} for x in range(10)])
    stopped = threading.Thread(target=lambda: (post.visits(2), evaluation.stop()))
    stopped.start()
    ended = []
    with pytest.raises(StudyStoppedError):
        ended.extend(outcome.trial.state for outcome in outcomes)
    stopped.join()
    assert set(ended) <= {TrialState.CANCELLED}


def test_a_pool_that_closes_says_so(pool, evaluation, client, post):
    outcomes = client.evaluate([{"x": x, "meet": post.path} for x in range(10)])
    closed = threading.Thread(target=lambda: (post.visits(2), pool.close()))
    closed.start()
    with pytest.raises(UnreachableError):
        list(outcomes)
    closed.join()


def test_nobody_at_the_address_is_said_at_once(pool):
    pool.close()
    with ControlClient(pool.control_address, token=pool.control_token) as client:
        with pytest.raises(UnreachableError, match=pool.control_address):
            list(client.evaluate([{"x": 1}], in_flight=1))
        with pytest.raises(UnreachableError, match=pool.control_address):
            list(client.evaluate([{"x": 1}]))


# Asynchronously.


def test_an_asynchronous_loop_has_the_same_outcomes(evaluation, client):
    async def drive():
        return [outcome.result async for outcome in client.evaluate({"x": x} for x in range(30))]

    assert sorted(asyncio.run(drive())) == [x**2 for x in range(30)]


def test_asynchronous_points_may_wait_for_outcomes(evaluation, client):
    async def drive():
        told = asyncio.Queue()

        async def points():
            yield {"x": 2}
            for _ in range(3):
                yield {"x": await told.get()}

        found = []
        async for outcome in client.evaluate(points(), in_flight=4):
            found.append(outcome.result)
            told.put_nowait(outcome.result)
        return found

    assert asyncio.run(drive()) == [4, 16, 256, 65536]


def test_other_tasks_go_on_while_an_outcome_is_waited_for(evaluation, client, post):
    async def drive():
        outcomes = client.evaluate([{"x": 7, "meet": post.path}])
        waiting = asyncio.ensure_future(anext(outcomes))
        visit = await asyncio.to_thread(post.visit)
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(asyncio.shield(waiting), 0.01)
        visit.answer()
        outcome = await waiting
        with pytest.raises(StopAsyncIteration):
            await anext(outcomes)
        return outcome.result

    assert asyncio.run(drive()) == 49


def test_who_stops_waiting_may_ask_for_the_outcome_again(evaluation, client, post):
    async def drive():
        outcomes = client.evaluate([{"x": 7, "meet": post.path}])
        with pytest.raises(asyncio.TimeoutError):
            await asyncio.wait_for(anext(outcomes), 0.01)
        waiting = asyncio.ensure_future(anext(outcomes))
        (await asyncio.to_thread(post.visit)).answer()
        return (await waiting).result

    assert asyncio.run(drive()) == 49


def test_what_asynchronous_points_raise_comes_out(evaluation, client):
    async def points():
        yield {"x": 1}
        raise LookupError("no more ideas")

    async def drive():
        async with client.evaluate(points()) as outcomes:
            return [outcome async for outcome in outcomes]

    with pytest.raises(LookupError, match="no more ideas"):
        asyncio.run(drive())


def test_asynchronous_points_need_an_asynchronous_loop(evaluation, client):
    async def points():
        yield {"x": 1}

    with pytest.raises(RefusedError, match="async for"):
        next(client.evaluate(points()))


# Call by call.


def test_points_and_outcomes_call_by_call(evaluation, client):
    with client.evaluation() as stream:
        first, second = stream.submit({"x": 1}), stream.submit({"x": 2}, "second")
        assert stream.outstanding == 2
        assert {stream.next().id, stream.next().id} == {first, "second"}
        assert second == "second"
        assert stream.outstanding == 0
        with pytest.raises(RefusedError, match="nothing to wait for"):
            stream.next()
        stream.submit({"x": 3})
        assert stream.next().result == 9
        stream.finish()
        with pytest.raises(RefusedError, match="finish"):
            stream.submit({"x": 4})


def test_waiting_has_a_limit_and_can_go_on(evaluation, client, post):
    with client.evaluation() as stream:
        stream.submit({"x": 5, "meet": post.path})
        visit = post.visit()
        with pytest.raises(TimeoutError):
            stream.next(timeout=0.01)
        visit.answer()
        assert stream.next().result == 25


def test_ctrl_c_ends_the_wait_also_if_another_thread_takes_it(evaluation, client, post):
    with client.evaluation() as stream:
        stream.submit({"x": 5, "meet": post.path})
        visit = post.visit()
        user = threading.Thread(target=lambda: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            _start_and_wait(user, stream)
        user.join()
        visit.answer()
        assert stream.next().result == 25


def _start_and_wait(user, stream):
    user.start()
    stream.next()


def test_an_id_that_is_not_answered_yet_is_refused(evaluation, client, post):
    with client.evaluation() as stream:
        stream.submit({"x": 5, "meet": post.path}, "a")
        with pytest.raises(RefusedError, match="'a'"):
            stream.submit({"x": 6}, "a")
        with pytest.raises(RefusedError, match="text"):
            stream.submit({"x": 6}, 7)
        post.visit().answer()
        assert stream.next().id == "a"


def test_closing_a_stream_ends_whoever_waits(evaluation, client, post):
    stream = client.evaluation()
    stream.submit({"x": 5, "meet": post.path})
    closing = threading.Thread(target=lambda: (post.visit().answer, stream.close()))
    closing.start()
    with pytest.raises(RefusedError, match="closed"):
        stream.next()
    closing.join()


def test_no_representation_shows_the_token(pool, evaluation, client):
    with client.evaluation() as stream, client.evaluate([{"x": 1}]) as outcomes:
        shown = repr((client, stream, outcomes))
    assert pool.control_token not in shown
    assert pool.control_address in shown
