"""The story that a machine tells, and that its bugs carry."""

from __future__ import annotations

import pytest

from sparkopt.core import events as e
from sparkopt.core.machine import Machine
from sparkopt.core.states import Outcome, TrialState
from sparkopt.core.story import Story
from sparkopt.core.transitions import InvalidTransition
from tests.core.core_pool import ElasticPool, Pool, key, lease


def names(story):
    """What kind of event or command each line is about."""
    return [line.split()[1].split("(")[0] for line in story]


@pytest.fixture
def pool():
    """Two workers; the first is lost with trial 0, and a heartbeat and a tick lead to nothing."""
    pool = Pool("w1", "w2")
    pool.submit(0, 1)
    pool.beat("w1")
    pool.now += 2.5
    pool.step(e.Tick())
    pool.lose("w1")
    pool.end("w2", 1)
    return pool


def test_a_machine_to_which_nothing_happened_has_no_story():
    assert Machine(1).story() == []


def test_the_story_has_every_event_and_command_in_order_but_what_led_to_nothing(pool):
    assert names(pool.machine.story()) == [
        "GangLaunched",
        "WorkerJoined",
        "WorkerJoined",
        "TrialsSubmitted",
        "Assign",
        "Assign",
        "WorkerGone",
        "OutcomeArrived",
        "Settle",
        "Assign",
    ]


def test_a_heartbeat_or_a_tick_that_led_to_something_is_part_of_the_story(pool):
    pool.submit(2)
    pool.wait(40)
    assert names(pool.machine.story())[-3:] == ["TrialsSubmitted", "Tick", "Expel"]


def test_times_are_seconds_since_the_first_line():
    machine = Machine(1)
    machine.step(e.GangLaunched(1, 1), 100.0)
    machine.step(e.WorkerJoined("w1", 1, 1), 102.5)
    assert [float(line.split()[0]) for line in machine.story()] == [0.0, 2.5]


def test_the_story_of_a_trial(pool):
    assert names(pool.machine.story(key(0))) == ["TrialsSubmitted", "Assign", "Assign"]
    assert names(pool.machine.story(key(1))) == ["TrialsSubmitted", "Assign", "OutcomeArrived", "Settle"]
    assert pool.machine.story(key(0, study="red")) == []


def test_the_story_of_a_trial_has_the_cancels_that_concern_it(pool):
    pool.cancel(7, reason="another")
    pool.cancel(0, reason="this one")
    pool.cancel(None, reason="all")
    pool.cancel(None, study="red", reason="others")
    story = pool.machine.story(key(0))
    assert names(story)[3:] == ["CancelRequested", "CancelAttempt", "CancelRequested"]
    assert "this one" in story[3]
    assert "all" in story[5]


def test_the_story_of_a_trial_has_the_returns_of_workers_that_hold_it(pool):
    pool.cut("w2")
    pool.join("w2", lease(0, attempt=2))
    assert names(pool.machine.story(key(0)))[-1] == "WorkerJoined"


def test_the_story_of_a_worker(pool):
    assert names(pool.machine.story("w1")) == ["WorkerJoined", "Assign", "WorkerGone"]
    assert names(pool.machine.story("w2")) == ["WorkerJoined", "Assign", "OutcomeArrived", "Settle", "Assign"]


def test_a_line_says_what_happened_in_words(pool):
    (assigned, *_) = [line for line in pool.machine.story("w1") if "Assign(" in line]
    assert "worker='w1'" in assigned
    assert "trial 0 of blue, attempt 1" in assigned


def test_the_oldest_lines_are_forgotten():
    story = Story(length=3)
    for tid in range(5):
        story.add(float(tid), e.CancelRequested("blue", tid, "not wanted"), [])
    assert [f"tid={tid}," in line for tid, line in zip((2, 3, 4), story.lines(), strict=True)] == [True] * 3


def followed(machine, about):
    """What kind each line is of that explains what became of a trial or a worker."""
    return [type(line.item).__name__ for line in machine.follow(about).lines]


def test_a_trial_is_followed_to_its_workers_as_long_as_they_have_it(pool):
    pool.lose("w2")
    assert followed(pool.machine, key(0)) == [
        "TrialsSubmitted",
        "Assign",
        "WorkerGone",
        "Assign",
        "WorkerGone",
    ]
    pool.cancel(None, reason="its study has ended")
    # It had settled by then.
    assert followed(pool.machine, key(1)) == ["TrialsSubmitted", "Assign", "OutcomeArrived", "Settle"]


def test_a_trial_is_followed_through_cuts_and_returns(pool):
    pool.cut("w2")
    pool.join("w2", lease(0, attempt=2))
    pool.cut("w2")
    pool.wait(40)
    assert followed(pool.machine, key(0))[4:] == ["StreamLost", "WorkerJoined", "StreamLost", "Expel"]


def test_a_trial_is_followed_to_what_spark_says_of_its_losses():
    pool = ElasticPool()
    pool.up(2)
    pool.end("w1", 1)
    pool.lose("w0")
    pool.explain("w0", preempted=True)
    pool.end("w1", 0, attempt=2)
    pool.explain("w1", preempted=True)
    assert followed(pool.machine, key(0)) == [
        *("TrialsSubmitted", "Assign", "WorkerGone", "Assign", "LossExplained", "OutcomeArrived", "Settle")
    ]
    assert followed(pool.machine, "w0")[-2:] == ["WorkerGone", "LossExplained"]


def test_a_worker_is_followed_to_the_end_of_its_gang_and_to_its_next_name(pool):
    pool.step(e.WorkerJoined("w1.2", 1, 1, formerly="w1"))
    pool.step(e.GangEnded(1, 1, "the job failed"))
    assert followed(pool.machine, "w1") == [
        "WorkerJoined",
        "Assign",
        "WorkerGone",
        "WorkerJoined",
        "GangEnded",
    ]
    assert followed(pool.machine, "w2")[-1] == "GangEnded"
    assert followed(pool.machine, key(0))[-1] == "GangEnded"
    assert followed(pool.machine, key(1))[-1] == "Settle"


def test_nobody_is_followed_to_the_end_of_another_gang():
    pool = Pool("w1")
    pool.launch(2, size=1)
    pool.step(e.WorkerJoined("v1", 2, 1))
    pool.step(e.GangEnded(2, 1, "the job failed"))
    assert followed(pool.machine, "v1") == ["WorkerJoined", "GangEnded"]
    assert followed(pool.machine, "w1") == ["WorkerJoined"]


def test_who_was_never_here_leads_nowhere(pool):
    assert followed(pool.machine, "w9") == []
    assert followed(pool.machine, key(9)) == []


def test_lines_say_whether_they_were_commands_and_when_they_were(pool):
    lines = pool.machine.follow("w1").lines
    assert [line.is_command for line in lines] == [False, True, False]
    assert [line.now for line in lines] == [0.0, 0.0, 2.5]


def test_it_is_known_since_when_lines_are_kept():
    story = Story(length=3)
    story.add(5.0, e.CancelRequested("blue", 0, "not wanted"), [])
    assert story.follow(key(0)).since is None
    for tid in range(4):
        story.add(10.0 + tid, e.CancelRequested("blue", tid, "not wanted"), [])
    assert story.follow(key(0)).since == 11.0
    assert story.follow(key(0)).lines == []


def test_a_line_is_short_whatever_it_is_of():
    story = Story()
    story.add(0.0, e.TrialsSubmitted("blue", tuple(range(100_000))), [])
    story.add(0.0, e.CancelRequested("blue", 3, "x" * 100_000), [])
    submitted, cancelled = story.follow(key(3)).lines
    assert "100,000 in all" in submitted.text
    assert max(len(submitted.text), len(cancelled.text)) < 2000
    assert max(map(len, story.lines())) < 2000


def test_what_is_refused_is_not_part_of_the_story(pool):
    before = pool.machine.story()
    with pytest.raises(ValueError, match="limit"):
        pool.step(e.LimitChanged(0))
    assert pool.machine.story() == before


def test_a_bug_in_the_machine_carries_the_story(pool):
    pool.machine.trials[key(0)].state = TrialState.SETTLED
    with pytest.raises(InvalidTransition) as caught:
        pool.end("w2", 0, Outcome.OK, attempt=2)
    text = str(caught.value)
    assert "TrialState.SETTLED has no transition for TrialInput.SETTLE" in text
    last = pool.machine.story()[-1]
    assert "OutcomeArrived" in last
    assert text.endswith(last)
    assert "GangLaunched" in text
