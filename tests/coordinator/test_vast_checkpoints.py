"""Checkpoints of about two gibibytes, for real: they are nowhere in memory, and not larger."""

from __future__ import annotations

import os
import sys
import time

import pytest

from sparkopt.wire.limits import CHECKPOINT_BYTES, CHUNK_BYTES
from tests.coordinator import vast_objectives

SECONDS = 500

pytestmark = [pytest.mark.slow, pytest.mark.timeout(SECONDS + 60)]  # six gigabytes are written, and read
HEADERS = 32 * 1024
"""More than an archive has beside the bytes of one file."""


@pytest.fixture
def open_study(rig):
    """Opens a study of an objective; closes it at the end."""
    studies = []

    def open_study(objective):
        studies.append(rig.study(objective))
        return studies[-1]

    yield open_study
    for study in studies:
        study.channel.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads the peaks of memory in /proc")
def test_one_of_almost_two_gibibytes_is_nowhere_in_memory(open_study, rig):
    rig.work(0)
    study = open_study(vast_objectives.save_and_load)
    study.submit((CHECKPOINT_BYTES - HEADERS, os.getpid()))
    settled = study.channel.next_settled(time.monotonic() + SECONDS)
    assert settled.result is not None, settled
    size, end, grown = settled.result.load()
    assert (size, end) == (CHECKPOINT_BYTES - HEADERS, vast_objectives.END)
    assert len(grown) >= 4  # the evaluator, its nursery, process A, and the driver
    assert max(grown) < 64 * CHUNK_BYTES


def test_a_larger_one_is_refused_before_anything_is_written_or_sent(open_study, rig):
    pushed = []
    rig.coordinator.blobs.receive = lambda *call: pushed.append(call)
    rig.work(0)
    study = open_study(vast_objectives.save)
    study.submit(CHECKPOINT_BYTES + 1)
    assert "a checkpoint has 2,147,483,648 bytes at most" in study.result()
    assert pushed == []
