"""Lanes: order within each, several at once, what waits for what; real threads and events."""

from __future__ import annotations

import math
import threading
import time

import pytest

from sparkopt.tracking import run_lanes as room
from sparkopt.tracking.run_lanes import Kind, Lanes

SECONDS = 60


class Bench:
    """Lanes whose items are functions; notes each turn's key, items and whether it is the last."""

    def __init__(self, calls=1, transfers=1):
        self.limits = {Kind.CALL: calls, Kind.TRANSFER: transfers}
        self.turns = []
        self.due = {}
        self.lanes = Lanes(self._work, self.limits.__getitem__, "bench")

    def _work(self, key, items, last):
        self.turns.append((key, len(items), last))
        for item in items:
            item()
        return None if last else self.due.pop(key, None)

    def finish(self):
        assert self.lanes.drain(SECONDS)
        self.lanes.close()


@pytest.fixture
def make():
    """Makes benches, whose threads end with the test."""
    benches = []

    def new(**limits):
        benches.append(Bench(**limits))
        return benches[-1]

    yield new
    for bench in benches:
        bench.lanes.close()


class Gate:
    """An item that says when its turn has come, and stays in it until it may go on."""

    def __init__(self):
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self):
        self.reached.set()
        assert self.open.wait(SECONDS)


def nothing():
    """An item."""


def test_a_lane_is_worked_off_in_its_order_whatever_many_threads_put(make):
    bench, seen = make(calls=8), {}

    def put(key):
        for number in range(200):
            bench.lanes.put(key, lambda number=number: seen.setdefault(key, []).append(number))

    threads = [threading.Thread(target=put, args=[key]) for key in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    bench.finish()
    assert seen == {key: list(range(200)) for key in range(6)}
    assert bench.lanes.left == 0


def test_a_lane_has_one_turn_at_a_time_and_gets_what_came_meanwhile_in_the_next(make):
    bench, gate = make(calls=4), Gate()
    bench.lanes.put("a", gate)
    assert gate.reached.wait(SECONDS)
    for _ in range(3):
        bench.lanes.put("a", nothing)
    other = threading.Event()
    bench.lanes.put("b", other.set)
    assert other.wait(SECONDS)  # not held up by the first
    assert [turn[:2] for turn in bench.turns] == [("a", 1), ("b", 1)]
    gate.open.set()
    bench.finish()
    assert [turn[:2] for turn in bench.turns] == [("a", 1), ("b", 1), ("a", 3)]


def test_as_many_run_at_once_as_the_limit_says_and_no_more(make):
    bench = make(calls=3)
    gates = [Gate() for _ in range(5)]
    for key, gate in enumerate(gates):
        bench.lanes.put(key, gate)
    for gate in gates[:3]:
        assert gate.reached.wait(SECONDS)
    assert bench.lanes.has_more()
    gates[0].open.set()
    assert gates[3].reached.wait(SECONDS)
    assert not gates[4].reached.is_set()
    bench.limits[Kind.CALL] = 4  # a limit that rises counts from the next turn on
    gates[1].open.set()
    assert gates[4].reached.wait(SECONDS)
    for gate in gates:
        gate.open.set()
    bench.finish()


def test_neither_kind_waits_for_the_threads_of_the_other(make):
    bench = make(calls=1, transfers=1)
    call, transfer = Gate(), Gate()
    bench.lanes.put("a", transfer, Kind.TRANSFER)
    assert transfer.reached.wait(SECONDS)
    bench.lanes.put("b", call)
    assert call.reached.wait(SECONDS)
    another = threading.Event()
    bench.lanes.put("c", another.set, Kind.TRANSFER)
    transfer.open.set()
    assert another.wait(SECONDS)
    call.open.set()
    bench.finish()


def test_kinds_keep_their_order_within_a_lane(make):
    bench, seen = make(calls=2, transfers=2), []
    for number in range(20):
        kind = Kind.TRANSFER if number % 3 else Kind.CALL
        bench.lanes.put("a", lambda number=number: seen.append(number), kind)
    bench.finish()
    assert seen == list(range(20))


def test_lanes_for_which_somebody_waits_come_first(make):
    bench, gate, seen = make(), Gate(), []
    bench.lanes.put("first", gate)
    assert gate.reached.wait(SECONDS)
    for key in ("a", "b", "c"):
        bench.lanes.put(key, lambda key=key: seen.append(key))
    bench.lanes.put("c", lambda: seen.append("c again"), urgent=True)
    gate.open.set()
    bench.finish()
    assert seen == ["c", "c again", "a", "b"]


def test_a_turn_that_has_to_wait_lets_another_lane_have_its_place(make):
    bench, gate, other = make(), Gate(), threading.Event()

    def wait():
        with bench.lanes.aside():
            gate()

    bench.lanes.put("a", wait)
    assert gate.reached.wait(SECONDS)
    bench.lanes.put("b", other.set)
    assert other.wait(SECONDS)
    gate.open.set()
    bench.finish()


def test_only_a_few_turns_may_wait_like_that(make, monkeypatch):
    monkeypatch.setattr(room, "_MOST_ASIDE", 2)
    bench, gates = make(), [Gate() for _ in range(3)]

    def wait(gate):
        with bench.lanes.aside():
            gate()

    for key, gate in enumerate(gates):
        bench.lanes.put(key, lambda gate=gate: wait(gate))
        assert gate.reached.wait(SECONDS)
    other = threading.Event()
    bench.lanes.put("other", other.set)
    assert bench.lanes.has_more()
    assert not other.is_set()
    for gate in gates:
        gate.open.set()
    bench.finish()
    assert other.is_set()


def test_what_a_lane_holds_back_comes_when_it_is_due(make):
    bench, came = make(), threading.Event()
    turns = []

    def work(key, items, last):
        turns.append((len(items), last))
        if not items:
            came.set()
            return None
        return time.monotonic() + 0.01

    lanes = Lanes(work, bench.limits.__getitem__, "due")
    lanes.put("a", nothing)
    assert came.wait(SECONDS)
    assert turns == [(1, False), (0, False)]
    lanes.close()


@pytest.fixture
def held():
    """Lanes for one call and one transfer, of which one holds back what comes, for a moment."""
    held = Held()
    yield held
    held.gate.open.set()
    held.lanes.close()


class Held:
    """Lanes, a gate to keep one of their threads busy, and an event: what was held back has come."""

    def __init__(self):
        self.gate, self.came = Gate(), threading.Event()
        self.lanes = Lanes(self._work, {Kind.CALL: 1, Kind.TRANSFER: 1}.__getitem__, "due")

    def _work(self, key, items, last):
        if key == "held" and not items:
            self.came.set()
            return None
        for item in items:
            item()
        return time.monotonic() + 0.05 if key == "held" else None

    def finish(self):
        assert self.came.wait(SECONDS)
        self.gate.open.set()
        assert self.lanes.drain(SECONDS)


def test_what_is_due_comes_although_every_thread_is_busy(held):
    held.lanes.put("held", nothing)
    held.lanes.put("busy", held.gate, Kind.TRANSFER)
    held.finish()


def test_an_idle_thread_watches_while_the_one_that_knows_is_busy(held):
    both = threading.Barrier(2)
    for kind in Kind:
        held.lanes.put(kind, lambda: both.wait(SECONDS), kind)
    assert held.lanes.drain(SECONDS)  # both threads are idle, and wait for nothing
    held.lanes.put("held", lambda: held.lanes.put("busy", held.gate, Kind.TRANSFER), Kind.TRANSFER)
    assert held.gate.reached.wait(SECONDS)  # in the thread that has just learnt what is held back
    held.finish()


def test_an_interrupt_within_a_put_does_not_keep_the_end_waiting(make, monkeypatch):
    bench = make()

    def interrupt(self, lane):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Lanes, "_line_up", interrupt)
        with pytest.raises(KeyboardInterrupt):
            bench.lanes.put("a", nothing)
    bench.lanes._lanes["b"] = room._Lane("b")  # had it come a moment before
    bench.finish()
    assert [turn[:2] for turn in bench.turns] == [("a", 1)]


def test_threads_that_cannot_be_started_are_started_later(make, monkeypatch):
    bench = make()

    def start(self):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        bench.lanes.put("a", nothing)  # the search goes on
    bench.finish()
    assert [turn[:2] for turn in bench.turns] == [("a", 1)]


def test_more_of_a_lane_comes_before_what_it_holds_back_is_due(make):
    bench, again = make(), threading.Event()
    bench.due["a"] = math.inf
    first = threading.Event()
    bench.lanes.put("a", first.set)
    assert first.wait(SECONDS)
    bench.lanes.put("a", again.set)
    assert again.wait(SECONDS)
    bench.finish()
    assert sum(count for _, count, _ in bench.turns) == 2


def test_the_end_waits_for_all_lanes_and_for_what_they_hold_back(make):
    bench, gate, held = make(calls=2), Gate(), threading.Event()
    bench.due.update(a=math.inf, b=math.inf)
    bench.lanes.put("a", gate)
    bench.lanes.put("b", held.set)
    assert gate.reached.wait(SECONDS)
    assert held.wait(SECONDS)
    assert not bench.lanes.drain(0.0)
    gate.open.set()
    bench.finish()
    assert {key for key, count, last in bench.turns if last and not count} == {"a", "b"}


def test_lanes_that_were_emptied_go_on(make):
    bench = make()
    for number in range(3):
        bench.lanes.put(number, nothing)
        assert bench.lanes.drain(SECONDS)
    bench.finish()
    assert [key for key, *_ in bench.turns] == [0, 1, 2]


class TestLull:
    """Lanes that let whoever puts go first, for longer than any test takes."""

    @pytest.fixture(autouse=True)
    def _patient(self, monkeypatch):
        monkeypatch.setattr(room, "LONGEST_SECONDS", 3600.0)
        monkeypatch.setattr(room, "LULL_SECONDS", 3600.0)

    @pytest.fixture
    def listening(self, monkeypatch):
        there, listen = threading.Semaphore(0), Lanes._listen

        def noted(own):
            there.release()
            listen(own)

        monkeypatch.setattr(Lanes, "_listen", noted)
        return there

    def test_nothing_begins_until_somebody_waits(self, make, listening):
        bench, done = make(calls=4), threading.Event()
        bench.lanes.put("a", nothing)
        assert listening.acquire(timeout=SECONDS)
        for key in "bcd":
            bench.lanes.put(key, nothing)
        assert bench.turns == []
        bench.lanes.put("e", done.set, urgent=True)
        assert done.wait(SECONDS)
        bench.finish()
        assert {key for key, *_ in bench.turns} == {*"abcde"}

    def test_they_wait_anew_once_all_are_empty(self, make, listening):
        bench, done = make(), threading.Event()
        bench.lanes.put("a", done.set, urgent=True)
        assert done.wait(SECONDS)
        assert bench.lanes.drain(SECONDS)
        while listening.acquire(timeout=0):
            pass
        bench.lanes.put("b", nothing)
        assert listening.acquire(timeout=SECONDS)
        assert [key for key, *_ in bench.turns] == ["a"]
        bench.finish()

    def test_the_end_does_not_wait(self, make, listening):
        bench = make()
        bench.lanes.put("a", nothing)
        assert listening.acquire(timeout=SECONDS)
        bench.finish()
        assert [key for key, *_ in bench.turns] == ["a"]

    def test_closing_does_not_wait(self, make, listening):
        bench = make()
        bench.lanes.put("a", nothing)
        assert listening.acquire(timeout=SECONDS)
        bench.lanes.close()
        assert not any(thread.name == "bench" for thread in threading.enumerate())
