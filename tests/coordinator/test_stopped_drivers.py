"""A driver that was stopped holds the time against none of its workers."""

from __future__ import annotations

import asyncio
import threading

import pytest
import uvloop

from sparkopt.coordinator.clock import Alarm, FairClock
from sparkopt.core import events
from sparkopt.core.machine import Machine
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from tests.coordinator import meetings

HOUR = 3600.0


class Loop(asyncio.SelectorEventLoop):
    """An event loop whose time the test makes."""

    def __init__(self):
        super().__init__()
        self.shows = 1000.0

    def time(self):
        return self.shows


@pytest.fixture
def loop():
    loop = Loop()
    yield loop
    loop.close()


def test_the_clock_shows_the_time_as_long_as_it_looks_up(loop):
    clock = FairClock(loop, 1.0)
    for _ in range(10):
        loop.shows += 1.5
        clock.now()
    assert clock.now() == 15.0
    assert clock.loop_time(20.0) == 1020.0


def test_a_stop_counts_two_beats(loop):
    clock = FairClock(loop, 1.0)
    loop.shows += HOUR
    assert clock.now() == 2.0
    loop.shows += 0.5
    assert clock.now() == 2.5
    assert clock.loop_time(4.0) == loop.shows + 1.5


def test_the_clock_goes_on_however_often_it_is_stopped(loop):
    clock = FairClock(loop, 1.0)
    for _ in range(10):
        loop.shows += HOUR
        clock.now()
    assert clock.now() == 20.0


def test_the_clock_looks_up_by_itself(loop):
    clock = FairClock(loop, 1.0)
    loop.call_soon(clock.start)
    for _ in range(11):
        loop.call_soon(loop.stop)
        loop.run_forever()
        loop.shows += 1.0
    assert clock.now() == 11.0
    clock.stop()
    loop.call_soon(loop.stop)
    loop.run_forever()
    loop.shows += 10.0
    assert clock.now() == 13.0


@pytest.fixture(params=[asyncio.SelectorEventLoop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def real_loop(request):
    loop = request.param()
    yield loop
    loop.close()


def test_an_alarm_rings_once_however_often_it_is_set_to_what_is_over_or_about_to_come(real_loop):
    rung = []

    async def set_it():
        alarm = Alarm(real_loop, lambda: rung.append(real_loop.time()))
        now = real_loop.time()
        for moment in (now + HOUR, now + 0.0004, now, now - 1.0, now + 0.0001, now + HOUR):
            alarm.set(moment)
        while not rung:
            await asyncio.sleep(0)
        alarm.set(real_loop.time())
        alarm.stop()
        alarm.set(real_loop.time() - 1.0)
        while len(rung) < 2:
            await asyncio.sleep(0)
        alarm.stop()
        for _ in range(10):
            await asyncio.sleep(0)

    real_loop.run_until_complete(set_it())
    assert len(rung) == 2


def test_a_deadline_that_is_over_twice_in_a_turn_ends_no_pool(rig, monkeypatch):
    def go_on():
        with monkeypatch.context() as patch:
            patch.setattr(Machine, "next_deadline", rig.coordinator.now())
            rig.coordinator.step(events.Tick())
            rig.coordinator.step(events.Tick())

    study = rig.study(abs)
    rig.coordinator.post(go_on)
    rig.work(0)
    study.submit(-3)
    assert study.settled().outcome is Outcome.OK


def stop(rig, seconds):
    """What the coordinator sees when it was stopped for so long: from one moment to the next it is later."""
    loop = rig.coordinator._thread.loop
    time, done = loop.time, threading.Event()

    def wake():
        loop.time = lambda: time() + seconds
        done.set()

    rig.coordinator.post(wake)
    assert done.wait(30)


def test_no_worker_is_lost_because_the_driver_was_stopped(make_rig):
    rig = make_rig(policy=Policy(silence=5, grace=15))
    rig.work(0, 1)
    study = rig.study(meetings.wait)
    study.submit((rig.post.path, "one"), (rig.post.path, "two"))
    visits = rig.post.visits(2)
    stop(rig, HOUR)
    rig.heard_up_to(events.Heartbeat, 6)
    for word, visit in visits.items():
        visit.answer(f"{word} again")
    settled = [study.settled() for _ in range(2)]
    assert [(each.outcome, each.attempt) for each in settled] == [(Outcome.OK, 1)] * 2
    assert {each.result.load() for each in settled} == {"one again", "two again"}
