"""A coordinator that was closed leaves nothing: no thread, no port, no file, no process."""

from __future__ import annotations

import socket
import tempfile
import threading
from pathlib import Path

import psutil
import pytest

from sparkopt.coordinator import Coordinator, ObjectiveSpec
from sparkopt.core import events
from sparkopt.errors import PoolClosedError, PoolLostError
from tests.coordinator import meetings


def children():
    return {child.pid for child in psutil.Process().children(recursive=True)}


def test_close_leaves_nothing(make_rig):
    threads, before = set(threading.enumerate()), children()
    rig = make_rig()
    rig.work(0, 1)
    study = rig.study(meetings.backwards)
    study.submit(bytes(2**21), bytes(2**21), b"small")
    for _ in range(3):
        study.settled()
    rig.close()
    # grpc's own threads are not the coordinator's to wait for.
    left = [thread for thread in set(threading.enumerate()) - threads if thread.name.startswith("sparkopt")]
    assert left == []
    host, _, port = rig.endpoint.address.partition(":")
    with socket.socket() as sock, pytest.raises(ConnectionRefusedError):
        sock.connect((host, int(port)))
    assert list(Path(tempfile.gettempdir()).glob("sparkopt-*")) == []
    assert list((rig.directory / "workers").iterdir()) == []
    assert children() == before


def test_close_cuts_streams_that_stay(rig):
    peer = rig.peer()
    peer.hello()
    peer.hear("welcome")
    rig.coordinator.close()
    assert not rig.coordinator._thread.is_alive()
    assert peer.call.code() is not None


def test_a_study_of_a_pool_that_is_closed_is_told_so(rig):
    open_already = rig.study(meetings.double)
    open_already.submit(1)
    rig.coordinator.expel_all()
    with pytest.raises(PoolClosedError):
        open_already.settled()
    with pytest.raises(PoolClosedError):
        rig.study(meetings.double).settled()


def test_what_comes_after_the_close_does_no_harm(rig):
    study = rig.study(meetings.double)
    study.submit(1)
    rig.coordinator.expel_all()
    for _ in range(2):
        rig.coordinator.close()
        rig.coordinator.expel_all()
        study.submit(2)
        study.channel.cancel(None, "late")
        study.channel.close()
    with pytest.raises(PoolClosedError):
        study.settled()
    with pytest.raises(PoolClosedError):
        rig.study(meetings.double).settled()


def test_a_study_is_told_when_the_pool_is_lost():
    asked = []

    def explain(reason, joined):
        asked.append((reason, joined))
        return PoolLostError("in the pool's words")

    coordinator = Coordinator(1, "127.0.0.1", lambda *_: None, explain)
    coordinator.start()
    try:
        coordinator.post_event(events.GangLaunched(0, 1))
        channel = coordinator.open_study("blue", ObjectiveSpec(b"", 1))
        channel.submit([(0, b"")])
        coordinator.post_event(events.GangEnded(0, 1, "the job failed"))
        with pytest.raises(PoolLostError, match="in the pool's words"):
            channel.next_settled()
    finally:
        coordinator.close()
    assert asked == [("the job failed", False)]


def test_a_coordinator_that_never_started_can_be_closed():
    coordinator = Coordinator(1, "127.0.0.1", lambda *_: None, lambda reason, _: PoolLostError(reason))
    coordinator.close()


def test_a_channel_gives_up_at_its_deadline(rig):
    study = rig.study(meetings.double)
    assert study.channel.next_settled(0.0) is None
