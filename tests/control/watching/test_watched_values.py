"""Intermediate values reach watches that ask for them: the newest of each trial, and not too often."""

from __future__ import annotations

import asyncio
import json
import math
from concurrent.futures import ThreadPoolExecutor

import pytest
from click.testing import CliRunner
from rich.console import Console

from sparkopt.cli import main
from sparkopt.cli.event_lines import line
from sparkopt.cli.live import Screen
from sparkopt.client import ControlClient
from sparkopt.control.feed import Feed, FeedEntry
from sparkopt.control.kept_values import KeptValues
from sparkopt.control.newest_values import VALUE_SECONDS, NewestValues
from sparkopt.core import events
from sparkopt.core.states import TrialKey
from sparkopt.wire.v1 import trial_pb2
from tests.control.control_clients import kinds
from tests.control.watching.played import attempt_of, ok
from tests.coordinator import meetings


def say(peer, attempt, offset, values):
    """Report values at the steps that follow."""
    steps = range(offset, offset + len(values))
    message = trial_pb2.IntermediateValues(attempt=attempt, offset=offset, steps=steps, values=values)
    peer.say(values=message)


@pytest.fixture
def runs(rig):
    """A worker that the test plays, and the attempt that it has."""
    peer = rig.joined_peer()
    study = rig.study(meetings.double)
    study.submit("one")
    return peer, study, attempt_of(peer)


def test_a_watch_that_asks_for_them_hears_the_newest_before_the_end(rig, runs):
    peer, study, attempt = runs
    watch, other = rig.watch(values=True), rig.watch()
    before = watch.first.sequence
    say(peer, attempt, 0, [3.0, 2.0])
    first = watch.next()
    assert first.sequence == before
    value = first.event.value
    assert (value.study, value.tid, value.attempt, value.step, value.value) == (study.name, 0, 1, 1, 2.0)
    for number in range(2, 40):
        say(peer, attempt, number, [float(number)])
    say(peer, attempt, 40, [math.nan])
    peer.outcome(attempt, 1, **ok(0.5))
    heard = watch.until("settled")
    assert {*kinds(heard)} == {"value", "settled"}
    assert len(heard) < 20
    newest = heard[-2]
    assert (newest.event.value.step, math.isnan(newest.event.value.value)) == (40, True)
    assert newest.sequence == before
    assert heard[-1].sequence == before + 1
    # Nobody else hears of them, and they are not kept.
    assert kinds(other.until("settled")) == ["settled"]
    assert "value" not in kinds(rig.watch(after=0, values=True).until("settled"))


def test_a_later_attempt_says_so_and_a_watch_of_another_study_hears_nothing(rig, runs):
    peer, _study, attempt = runs
    other = rig.study(meetings.double)
    rig.on_loop(lambda: None)
    watch, foreign = rig.watch(values=True), rig.watch(values=True, study=other.name)
    say(peer, attempt, 0, [3.0])
    assert watch.event("value").attempt == 1
    rig.coordinator.post_event(events.WorkerGone("gang0.1/worker0", "its task ended"))
    peer = rig.joined_peer(1)
    again = attempt_of(peer)
    say(peer, again, 0, [2.0])
    value = watch.event("value")
    assert (value.attempt, value.step, value.value) == (2, 0, 2.0)
    peer.outcome(again, 1, **ok(0.5))
    watch.until("settled")
    other.channel.close()
    assert "value" not in kinds(foreign.until("study_ended"))


def test_a_client_that_comes_late_gets_the_values_so_far(rig, runs):
    peer, study, attempt = runs
    study.submit("two")
    say(peer, attempt, 0, [3.0, math.inf])
    with ControlClient(rig.server.address, token=rig.server.read_only_token) as client:

        def listed():
            return [trial.intermediate_values for trial in client.trials(intermediate_values=True)]

        rig.until(lambda: rig.server.book.intermediate_values(rig.server.book.trials[0]) is not None)
        assert listed() == [{0: 3.0, 1: math.inf}, {}]
        assert [trial.intermediate_values for trial in client.trials()] == [{}, {}]
        rig.coordinator.post_event(events.WorkerGone("gang0.1/worker0", "its task ended"))
        peer = rig.joined_peer(1)
        again = attempt_of(peer)
        # It goes on from a checkpoint.
        peer.say(values=trial_pb2.IntermediateValues(attempt=again, steps=[1, 2], values=[2.0, 1.0]))
        peer.outcome(again, 1, **ok(0.5))
        attempt_of(peer)
        assert listed() == [{0: 3.0, 1: 2.0, 2: 1.0}, {}]


def test_values_of_the_trials_that_settled_first_are_forgotten():
    kept = KeptValues(most=4)
    for key in "abc":
        kept.add(key, 1, [1, 2], [0.1, 0.2])
    kept.add("a", 1, [3], [0.3])
    assert [len(kept.of(key)) for key in "abc"] == [3, 2, 2]  # as many as there are of trials that run
    kept.settle("a")
    kept.settle("b")
    kept.settle("unknown")
    assert kept.of("a") is None
    assert kept.of("b").by_step() == {1: 0.1, 2: 0.2}


def test_values_stand_behind_the_event_that_they_came_after():
    async def taken():
        feed = Feed()
        watcher, other = feed.watch(0, values=True), feed.watch(0)
        assert feed.wants_values

        def entry(name):
            return FeedEntry(0.0, name, lambda event: None)

        first, second = TrialKey("s", 1), TrialKey("s", 2)
        feed.add(entry("1"))
        feed.add_value(first, entry("old"))
        feed.add_value(first, entry("value of 1"))
        for number in range(2, 301):
            feed.add(entry(str(number)))
        feed.add_value(second, entry("value of 2"))
        batches = [await watcher.take(), await watcher.take()]
        theirs = [*await other.take(), *await other.take()]
        watcher.close()
        watcher.close()
        assert not feed.wants_values
        feed.close()
        return batches, theirs

    (first, second), theirs = asyncio.run(taken())
    assert [(number, each.study) for number, each in first[:3]] == [(1, "1"), (1, "value of 1"), (2, "2")]
    assert "value of 2" not in [each.study for _, each in first]
    assert [(number, each.study) for number, each in second[-2:]] == [(300, "300"), (300, "value of 2")]
    assert [number for number, _ in theirs] == [*range(1, 301)]


def test_of_a_trial_at_most_ten_a_second_come_and_the_last_one_does():
    async def handed_on():
        loop, taken = asyncio.get_running_loop(), []
        values = NewestValues(lambda key, newest: taken.append((key, newest.value, loop.time())))
        values.put("a", 1, 1, 1.0)
        values.put("a", 1, 2, 2.0)
        values.put("b", 1, 1, 7.0)
        values.put("a", 1, 3, 3.0)
        while len(taken) < 3:
            await asyncio.sleep(0)
        values.put("a", 1, 4, 4.0)
        values.end("a")
        values.end("a")
        values.put("c", 1, 1, 8.0)
        values.put("c", 1, 2, 9.0)
        values.clear()
        values.end("c")
        return taken

    taken = asyncio.run(handed_on())
    assert [(key, value) for key, value, _ in taken] == [
        ("a", 1.0),
        ("b", 7.0),
        ("a", 3.0),
        ("a", 4.0),
        ("c", 8.0),
    ]
    assert taken[2][2] - taken[0][2] >= VALUE_SECONDS


def test_the_command_shows_them(rig, runs, tmp_path):
    peer, study, attempt = runs
    token = tmp_path / "token"
    token.write_text(rig.server.token)
    token.chmod(0o600)
    command = ["watch", "--json", "--values", "--address", rig.server.address, "--token-file", str(token)]
    screen = Screen()
    with (
        ThreadPoolExecutor(1) as threads,
        ControlClient(rig.server.address, token=rig.server.token) as client,
    ):
        shown = threads.submit(CliRunner().invoke, main, command)
        rig.until(lambda: rig.server.feed.wants_values)
        with client.watch(values=True) as watch:
            say(peer, attempt, 0, [math.inf])
            event = next(watch)
            screen.ask(client)
            screen.add(event)
        peer.outcome(attempt, 1, **ok(0.5))
        study.settled()
        rig.close()
        printed = shown.result().output.splitlines()
    assert (event.kind, event.value.step, event.value.value) == ("value", 0, math.inf)
    told = json.loads(printed[0])
    assert (told["kind"], told["value"]["step"], told["value"]["value"]) == ("value", 0, "Infinity")
    assert line(event).endswith(f"value {study.name}/0 inf at step 0")
    console = Console(width=200)
    with console.capture() as captured:
        console.print(screen.draw())
    assert "inf at step 0" in captured.get()
