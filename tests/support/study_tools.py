"""Objectives, spaces and algorithms for the tests of whole searches, and what they meet by."""

from __future__ import annotations

import os
import select
from pathlib import Path

from hyperopt import hp, rand

DEADLINE_SECONDS = 60
"""How long processes wait for one another before the test has failed."""

CASE = hp.uniformint("case", 0, 1000)


def in_order(new_ids, domain, trials, seed):
    """An algorithm that proposes each trial's own number for the label ``case``."""
    documents = rand.suggest(new_ids, domain, trials, seed)
    for document in documents:
        document["misc"]["vals"]["case"] = [document["tid"]]
    return documents


def jobs(spark):
    """The ids of every job that the session has run so far."""
    context = spark.sparkContext
    # Spark's tracker hears of new jobs from a queue.
    context._jsc.sc().listenerBus().waitUntilEmpty()
    return set(context.statusTracker().getJobIdsForGroup(None))


def active_jobs(spark):
    """The ids of the jobs that the session runs now."""
    context = spark.sparkContext
    context._jsc.sc().listenerBus().waitUntilEmpty()
    return set(context.statusTracker().getActiveJobsIds())


def take_ticket(directory) -> int:
    """The lowest number that nobody holds."""
    number = 0
    while True:
        try:
            os.close(os.open(Path(directory, f"ticket-{number}"), os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            number += 1
        else:
            return number


def give_back(directory, number):
    """Let somebody else have a number."""
    Path(directory, f"ticket-{number}").unlink()


def make_fifos(directory, *names):
    """Named pipes in a directory."""
    for name in names:
        os.mkfifo(directory / name)


def signal_at(path):
    """Say at a named pipe that we are here, once somebody listens."""
    os.close(os.open(path, os.O_WRONLY))


def wait_at(path):
    """Wait at a named pipe until somebody signals there."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.read(descriptor, 1)
    finally:
        os.close(descriptor)


def meet(directory, side) -> bool:
    """Wait for the other side, 0 or 1, at the named pipes ``side-0`` and ``side-1``; whether it came."""
    mine = os.open(Path(directory, f"side-{side}"), os.O_RDWR)
    other = os.open(Path(directory, f"side-{1 - side}"), os.O_RDWR)
    try:
        os.write(other, b".")
        came, _, _ = select.select([mine], [], [], DEADLINE_SECONDS)
        return bool(came)
    finally:
        os.close(mine)
        os.close(other)


def hear(path, seconds) -> bool:
    """Wait for a signal at a named pipe, so many seconds at most; whether it came."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        came, _, _ = select.select([descriptor], [], [], seconds)
        return bool(came)
    finally:
        os.close(descriptor)


def blocking_from_the_third(directory):
    """An objective whose first two runs return; the third says that it is ``there``, and ``never`` ends."""
    place = str(directory)

    def objective(case):
        if take_ticket(place) < 2:
            return float(case)
        signal_at(f"{place}/there")
        return wait_at(f"{place}/never")

    return objective
