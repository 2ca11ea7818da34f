"""Clients whose connection is cut: nothing is run twice, and nothing is lost."""

from __future__ import annotations

import asyncio

import pytest

from sparkopt import ControlClient
from sparkopt.errors import UnreachableError
from tests.support.driven import runs_in


@pytest.mark.parametrize("asynchronous", [False, True])
def test_points_and_outcomes_survive_cuts(evaluation, distant, line, tmp_path, asynchronous):
    runs = tmp_path / "runs"
    points = [{"x": x, "runs": str(runs)} for x in range(60)]
    found = []

    def take(outcome):
        found.append(outcome.point["x"])
        assert outcome.result == outcome.point["x"] ** 2
        if len(found) % 10 == 0:
            line.cut()
            line.mend()

    async def drive():
        async for outcome in distant.evaluate(points):
            take(outcome)

    if asynchronous:
        asyncio.run(drive())
    else:
        for outcome in distant.evaluate(points):
            take(outcome)
    assert sorted(found) == list(range(60))
    assert sorted(runs_in(runs)) == list(range(60))


def test_an_outcome_that_comes_while_the_line_is_cut_is_not_lost(
    evaluation, client, distant, line, post, tmp_path
):
    runs = tmp_path / "runs"
    point = {"x": 4, "runs": str(runs), "meet": post.path}
    with distant.evaluation() as stream:
        stream.submit(point, "mine")
        visit = post.visit()
        line.cut()
        visit.answer()
        # Once it has settled, another client is told so.
        (told,) = client.evaluate([("mine", point)], in_flight=1)
        assert told.result == 16
        line.mend()
        assert stream.next().trial == told.trial
    assert runs_in(runs) == [4]


def test_a_stream_that_waits_for_points_comes_back_for_the_next(evaluation, distant, line):
    with distant.evaluation() as stream:
        stream.submit({"x": 2})
        assert stream.next().result == 4
        line.cut()
        line.mend()
        stream.submit({"x": 3})
        assert stream.next().result == 9


def test_a_line_that_stays_cut_is_an_error_in_the_end(pool, evaluation, line, post):
    with (
        ControlClient(line.address, token=pool.control_token, reconnect=0.5) as distant,
        distant.evaluation() as stream,
    ):
        stream.submit({"x": 1, "meet": post.path})
        visit = post.visit()
        line.cut()
        with pytest.raises(UnreachableError, match=line.address):
            stream.next()
        with pytest.raises(UnreachableError, match=line.address):
            stream.submit({"x": 2})
        visit.answer()


def test_a_client_that_is_closed_ends_its_streams(evaluation, client, post):
    stream = client.evaluation()
    stream.submit({"x": 1, "meet": post.path})
    visit = post.visit()
    client.close()
    with pytest.raises(UnreachableError, match="closed"):
        stream.next()
    stream.close()
    with pytest.raises(UnreachableError, match="closed"):
        client.status()
    visit.answer()
