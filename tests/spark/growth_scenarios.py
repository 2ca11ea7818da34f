"""A search on a cluster that another worker daemon joins meanwhile. A script; says what came of it.

Its arguments are Spark's settings, as JSON, and the SPARK_HOME of the daemon that joins.
"""

from __future__ import annotations

import json
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

from sparkopt import SparkTrials, fmin
from sparkopt.errors import ParallelismWarning
from sparkopt.pool import slot_watch
from sparkopt.spark.session import get_session, is_connect
from tests.support.cluster import joining_daemon
from tests.support.connect_session import connect_session
from tests.support.post import Post
from tests.support.study_tools import CASE, in_order

ASKED = 3
TRIALS = 8
SECONDS = 120


class Bar:
    """A progress bar that notes what it shows."""

    postfix = ""

    def __init__(self, initial, total):
        self.shown = set()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        pass

    def refresh(self):
        self.shown.add(self.postfix)

    def update(self, n):
        pass


def waiting_at(path):
    """An objective that comes to a post and waits for its answer."""

    def objective(case):
        import os
        import socket

        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            said = {"word": str(int(case)), "pid": os.getpid(), "parent": os.getppid()}
            sock.sendall(json.dumps(said).encode() + b"\n")
            sock.recv(100)
        return float(case)

    return objective


def search(session, home):
    """As many trials meet as there are slots, then as many as were asked for."""
    post = Post(Path("post").absolute(), SECONDS)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ParallelismWarning)
        trials = SparkTrials(ASKED, spark_session=session)
    first, bars = trials.parallelism, []

    def bar(initial, total):
        bars.append(Bar(initial, total))
        return bars[0]

    with ThreadPoolExecutor(1) as threads:
        running = threads.submit(
            fmin,
            waiting_at(post.path),
            CASE,
            in_order,
            TRIALS,
            trials=trials,
            show_progressbar=bar,
        )
        try:
            here = [post.visit() for _ in range(first)]
            (pool,) = trials._running
            gangs = [len(pool._launches.all())]
            alone = post.nobody_waits()
            with joining_daemon(session.conf.get("spark.master"), 2, Path("daemon").absolute(), home):
                here += [post.visit() for _ in range(ASKED - first)]
                gangs.append(len(pool._launches.all()))
                now = pool.parallelism
                for _ in range(TRIALS - ASKED):
                    here.pop(0).answer()
                    here.append(post.visit())
                for visit in here:
                    visit.answer()
                running.result(SECONDS)
        finally:
            post.close()
    return {
        "connect": is_connect(session),
        "warnings": [str(each.message) for each in caught],
        "parallelism": [first, now, trials.parallelism, trials.max_parallelism],
        "alone": alone,
        "gangs": gangs,
        "losses": sorted(trials.losses()),
        "bar": sorted(shown for shown in bars[0].shown if "starting" in shown),
    }


@contextmanager
def stopping(session):
    yield session
    session.stop()


def main(settings, home):
    """Search, by the kind of session that the variable SPARK_API_MODE says."""
    warnings.simplefilter("ignore")
    if os.environ["SPARK_API_MODE"] == "connect":
        opened = connect_session(settings["spark.master"], settings)
    else:
        opened = stopping(get_session(settings=settings))
    with opened as session, patch.object(slot_watch, "_LOOK_SECONDS", 0.5):
        said = search(session, home)
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(json.loads(sys.argv[1]), Path(sys.argv[2]))
