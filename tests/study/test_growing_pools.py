"""Studies whose pool gets more workers while they run: more trials are outstanding then."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.coordinator.rig import Rig, rigs
from tests.support.front_ends import RandomProposer, Watched, run
from tests.support.post import SECONDS

TRIALS = 9


@pytest.fixture
def rig(tmp_path):
    """A coordinator whose workers come as the test wants."""
    with rigs(tmp_path, Rig) as make:
        yield make(limit=4)


def waiting_at(path):
    """An objective that comes to a post and waits for its answer."""

    def objective(_):
        import json
        import os
        import socket

        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            said = {"word": "", "pid": os.getpid(), "parent": os.getppid()}
            sock.sendall(json.dumps(said).encode() + b"\n")
            sock.recv(100)
        return 0.0

    return objective


class Counted(Watched):
    """Notes how many trials are outstanding at most."""

    most = 0

    def propose(self, count):
        self.most = max(self.most, len(self.values) - len(self.records) + count)
        return super().propose(count)


@pytest.mark.parametrize(("most_workers", "at_once", "outstanding"), [(0, 1, 1), (2, 2, 3), (9, 3, 4)])
def test_with_workers_that_come_later(rig, most_workers, at_once, outstanding):
    proposer = Counted(RandomProposer(1))
    objective, here = waiting_at(rig.post.path), []
    with ThreadPoolExecutor(1) as threads:
        more = {"workers": 1, "most_workers": most_workers, "trials": TRIALS}
        running = threads.submit(run, rig, proposer, objective, **more)
        try:
            for slot in range(at_once):
                rig.work(slot)
                here.append(rig.post.visit())
            for _ in range(TRIALS - at_once):
                here.pop(0).answer()
                here.append(rig.post.visit())
            for visit in here:
                visit.answer()
        except BaseException:
            rig.coordinator.expel_all()  # so that the study ends
            raise
        study = running.result(SECONDS)
    assert len(proposer.records) == TRIALS
    assert proposer.most == outstanding
    assert study.timings.workers == at_once
