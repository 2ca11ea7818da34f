"""What becomes of the workers of a driver that is busy, or cannot move at all."""

from __future__ import annotations

import ctypes
import os
import queue
import select
import struct
from collections import Counter
from functools import partial
from pathlib import Path

import cloudpickle
import pytest

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.core import events
from sparkopt.core.records import Policy
from tests.support import study_tools
from tests.support.study_tools import CASE, DEADLINE_SECONDS, in_order, take_ticket

HEARTBEAT = 0.1
GRACE = 2.0

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(study_tools)


class Pool(WorkerPool):
    """A pool that can be listened to.

    Attributes:
        heard: the events that the coordinator has heard of.
    """

    def __enter__(self):
        super().__enter__()
        self.heard = queue.SimpleQueue()
        step = self.machine.step

        def noted_step(event, now):
            commands = step(event, now)
            self.heard.put(event)
            return commands

        self.machine.step = noted_step
        return self

    @property
    def machine(self):
        return self._coordinator.machine

    def wait_for_heartbeats(self, number):
        """Wait until some worker has had so many more; how many streams were cut meanwhile."""
        while not self.heard.empty():
            self.heard.get()
        beats, cuts = Counter(), 0
        while number not in beats.values():
            event = self.heard.get(timeout=DEADLINE_SECONDS)
            if isinstance(event, events.Heartbeat):
                beats[event.worker] += 1
            cuts += isinstance(event, events.StreamLost)
        return cuts


@pytest.fixture
def make_pool(spark):
    return partial(Pool, 2, spark_session=spark, heartbeat=HEARTBEAT)


def search(pool, objective, third):
    """Four trials; ``third`` is called when the third is to be proposed, and one that ran has settled."""

    def algo(new_ids, domain, trials, seed):
        if new_ids == [2]:
            third()
        return in_order(new_ids, domain, trials, seed)

    trials = SparkTrials(pool=pool)
    fmin(objective, CASE, algo, 4, trials=trials, verbose=False)
    assert trials.losses() == [0, 1, 2, 3]


def assert_nothing_was_lost(pool):
    assert pool.machine.counts().lost_attempts == 0
    assert pool.machine.gangs[0].generation == 1


def hold_the_gil(seconds, descriptor=-1):
    """Wait in C, with nothing else of this process running; until a pipe has no writer any more, if given.

    Returns:
        Whether the pipe has no writer.
    """
    # What poll() takes: a descriptor, the events that are asked for, and room for those that have happened.
    # That the writers are gone is told unasked.
    request = ctypes.create_string_buffer(struct.pack("ihh", descriptor, 0, 0))
    # Unlike CDLL, PyDLL keeps the GIL.
    return ctypes.PyDLL(None).poll(request, 1, int(1000 * seconds)) == 1


def test_heartbeats_are_heard_and_answered_while_the_algorithm_thinks_for_far_longer_than_the_grace(
    make_pool,
):
    beats = round(2 * GRACE / HEARTBEAT)
    with make_pool(policy=Policy(silence=GRACE / 2, grace=GRACE)) as pool:
        cuts = []
        search(pool, float, lambda: cuts.append(pool.wait_for_heartbeats(beats)))
        # Without an answer each worker would open its stream anew after a third of the grace.
        assert cuts[0] < 4
        assert_nothing_was_lost(pool)


def test_an_algorithm_that_holds_the_gil_for_less_than_the_grace_costs_nothing(make_pool):
    with make_pool(policy=Policy(silence=0.3, grace=60)) as pool:
        search(pool, float, lambda: hold_the_gil(1))
        assert_nothing_was_lost(pool)


def test_workers_of_a_driver_that_stands_still_end_their_trials_which_run_again(make_pool, tmp_path):
    place, fifo = str(tmp_path), str(tmp_path / "running")
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)

    def objective(case):
        if case == 0 and take_ticket(place) == 0:
            import signal

            os.write(os.open(fifo, os.O_WRONLY), b".")
            signal.pause()
        return float(case)

    def stand_still():
        assert select.select([reader], [], [], DEADLINE_SECONDS)[0]
        os.read(reader, 1)
        assert hold_the_gil(DEADLINE_SECONDS, reader)

    try:
        with make_pool(policy=Policy(silence=GRACE / 2, grace=GRACE, relaunch_backoff=0.1)) as pool:
            search(pool, objective, stand_still)
            assert pool.machine.counts().lost_attempts >= 1
    finally:
        os.close(reader)
    assert sorted(Path(place).glob("ticket-*")) == [tmp_path / "ticket-0", tmp_path / "ticket-1"]
