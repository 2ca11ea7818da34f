"""A pruner in a study's channel: what it hears, whom it stops, and what it raises."""

from __future__ import annotations

import contextlib
import math
import threading
import time
import warnings

import numpy as np
import pytest

from sparkopt.coordinator import ReportedValues, Settled, StudyChannel
from sparkopt.coordinator.channels import judge
from sparkopt.core.states import Outcome
from sparkopt.errors import PrunerError, SparkoptWarning
from tests.support.study_tools import DEADLINE_SECONDS


class Actions:
    """The coordinator's actions, of which one is asked for here."""

    def __init__(self):
        self.pruned = []

    def prune(self, tid, reason):
        self.pruned.append((tid, reason))

    def close(self, closed):
        closed()


class Limit:
    """Stops what is above 1, and notes what it hears."""

    def __init__(self):
        self.heard = []

    def reported(self, tid, step, value):
        self.heard.append((tid, step, value))
        if value == 99:
            raise ValueError("ninety-nine")
        return value > 1

    def settled(self, tid, outcome):
        self.heard.append((tid, outcome))


@pytest.fixture
def pruner():
    return Limit()


@pytest.fixture
def actions():
    return Actions()


@pytest.fixture
def channel(actions, pruner):
    channel = StudyChannel(actions)
    channel.judge_by(pruner)
    return channel


def values(tid, *given, first=1):
    return ReportedValues(tid, 1, [*range(first, first + len(given))], list(given))


def test_each_value_is_judged_in_order_until_one_stops_the_trial(channel, actions, pruner):
    channel.put_values(values(7, 0.5, 1.0, 1.25, 0.0))
    assert actions.pruned == [(7, "the pruner stopped it at step 3, with the value 1.25")]
    channel.put_values(values(7, 9.0, first=5))
    channel.put_values(values(8, 0.0))
    assert pruner.heard == [(7, 1, 0.5), (7, 2, 1.0), (7, 3, 1.25), (8, 1, 0.0)]
    assert len(actions.pruned) == 1


def test_the_study_gets_all_values_whatever_the_verdict(channel):
    taken = []
    channel.on_values = lambda gathered: taken.extend(gathered.series)
    channel.put_values(values(7, 2.0, 0.5))
    channel.put_values(values(7, 0.25, first=3))
    assert channel.next_settled(0) is None
    assert taken == [(1, 2.0), (2, 0.5), (3, 0.25)]


def test_it_hears_how_each_trial_settles(channel, pruner):
    channel.put_values(values(7, 2.0))
    channel.put_settled(Settled(7, 1, Outcome.PRUNED))
    channel.put_settled(Settled(8, 0, Outcome.CANCELLED))
    assert pruner.heard[1:] == [(7, Outcome.PRUNED), (8, Outcome.CANCELLED)]


def test_what_it_raises_ends_the_study_once_and_settles_its_trials_all_the_same(channel, actions, pruner):
    channel.put_values(values(7, 99.0))
    channel.put_values(values(8, 9.0))
    channel.put_settled(Settled(7, 1, Outcome.OK))
    with pytest.raises(PrunerError, match="the pruner has raised ValueError: ninety-nine") as caught:
        channel.next_settled()
    assert isinstance(caught.value.__cause__, ValueError)
    settled = channel.next_settled()
    assert settled is not None
    assert settled.tid == 7
    assert (actions.pruned, len(pruner.heard)) == ([], 1)


class Unreadable(Exception):
    def __str__(self):
        raise ValueError("no text")


@pytest.mark.parametrize(
    "error", [SystemExit(3), KeyboardInterrupt(), Unreadable()], ids=lambda error: type(error).__name__
)
def test_nothing_that_it_raises_reaches_the_coordinators_thread(channel, pruner, error):
    def fails(tid, step, value):
        raise error

    pruner.reported = fails
    channel.put_values(values(7, 1.0))
    with pytest.raises(PrunerError, match=f"the pruner has raised .*{type(error).__name__}") as caught:
        channel.next_settled()
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("verdict", ["no", [], 2, math.nan], ids=repr)
def test_a_verdict_that_is_neither_true_nor_false_is_an_error_of_the_pruners(
    channel, actions, pruner, verdict
):
    pruner.reported = lambda tid, step, value: verdict
    channel.put_values(values(7, 1.0))
    with pytest.raises(PrunerError, match=r"pruner's reported returns \(of trial 7\) must be True or False"):
        channel.next_settled()
    assert actions.pruned == []


def test_other_truths_are_verdicts_as_well(channel, actions, pruner):
    verdicts = iter([None, np.False_, 0, np.True_])
    pruner.reported = lambda tid, step, value: next(verdicts)
    channel.put_values(values(7, 0.5, 1.0, 1.5, 2.0))
    assert [tid for tid, _ in actions.pruned] == [7]


@pytest.mark.parametrize("call", ["reported", "settled"])
def test_a_pruner_that_does_not_return_is_told_of_and_ended_with_the_study(
    channel, pruner, monkeypatch, call
):
    inside = threading.Event()

    def never(*happened):
        inside.set()
        while True:
            with contextlib.suppress(Exception):
                pass

    monkeypatch.setattr(judge, "SLOW_SECONDS", 0.01)
    setattr(pruner, call, never)
    happens = {
        "reported": lambda: channel.put_values(values(7, 1.0)),
        "settled": lambda: channel.put_settled(Settled(7, 1, Outcome.OK)),
    }
    thread = threading.Thread(target=happens[call])
    thread.start()
    try:
        assert inside.wait(DEADLINE_SECONDS)
        channel.next_settled(time.monotonic())  # as a study on its way out asks, which is told nothing
        with pytest.warns(SparkoptWarning, match="has been in one call for .* s, and does not return"):
            channel.next_settled(time.monotonic() + 0.05)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            channel.next_settled(time.monotonic() + 0.01)
    finally:
        channel.close()
        thread.join(DEADLINE_SECONDS)
    assert not thread.is_alive()


def test_without_a_pruner_nothing_is_judged(actions):
    channel = StudyChannel(actions)
    channel.judge_by(None)
    channel.put_values(values(7, 99.0))
    channel.put_settled(Settled(7, 1, Outcome.OK))
    assert actions.pruned == []
