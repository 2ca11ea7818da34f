"""Tasks that Spark starts again take the place of the former worker; those that it starts twice wait."""

from __future__ import annotations

from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.wire.v1 import worker_pb2
from tests.coordinator import meetings

NAME = "gang0.1/worker0"
AGAIN = f"{NAME}-retry1"


def say_hello(peer, name=NAME, attempt=0, key="key"):
    hello = worker_pb2.Hello(worker=name, gang=0, generation=1, key=key, task_attempt=attempt)
    peer.say(hello=hello)


def test_a_task_that_is_started_again_takes_the_place_of_the_worker_that_was_cut(rig):
    study = rig.study(meetings.wait)
    study.submit("anything")
    first, second = rig.peer(), rig.peer()
    say_hello(first)
    first.hear("welcome")
    assert first.hear("assignment").assignment.attempt.attempt == 1
    first.end()
    rig.heard(events.StreamLost)
    say_hello(second, AGAIN, 1, "another")
    joined = rig.heard(events.WorkerJoined)
    assert (joined.worker, joined.formerly, joined.task_attempt) == (AGAIN, NAME, 1)
    second.hear("welcome")
    # Long before the grace is over.
    assert second.hear("assignment").assignment.attempt.attempt == 2


def test_a_task_that_is_started_twice_waits_until_the_first_is_cut(make_rig):
    rig = make_rig(policy=Policy(grace=60.0))
    study = rig.study(meetings.wait)
    first, second = rig.peer(), rig.peer()
    say_hello(first)
    first.hear("welcome")
    rig.heard(events.WorkerJoined)
    say_hello(second, AGAIN, 1, "another")
    second.hear("welcome")
    second.say(heartbeat=worker_pb2.Heartbeat())
    rig.heard(events.Heartbeat)
    assert list(rig.coordinator.machine.workers) == [NAME]
    study.submit("one", "two")
    assert first.hear("assignment").assignment.attempt.tid == 0
    first.end()
    joined = rig.heard(events.WorkerJoined)
    assert (joined.worker, joined.formerly) == (AGAIN, NAME)
    second.hear("assignment")


def test_a_twin_that_leaves_meanwhile_is_forgotten(rig):
    first, second = rig.peer(), rig.peer()
    say_hello(first)
    first.hear("welcome")
    say_hello(second, AGAIN, 1, "another")
    second.hear("welcome")
    second.end()
    assert rig.heard(events.StreamLost).worker == AGAIN
    first.end()
    assert rig.heard(events.StreamLost).worker == NAME
    assert rig.coordinator.attendance._waiting == {}
    assert rig.coordinator.attendance.greeted(0, 1) == 2


def test_a_twin_that_waits_is_sent_away_with_the_pool(rig):
    first, second = rig.peer(), rig.peer()
    say_hello(first)
    first.hear("welcome")
    say_hello(second, AGAIN, 1, "another")
    second.hear("welcome")
    rig.coordinator.expel_all()
    second.hear("expulsion")
