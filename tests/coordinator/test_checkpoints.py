"""Checkpoints of running trials: the last one is there for the next attempt, and gone after the trial."""

from __future__ import annotations

import asyncio
import threading

import pytest

import sparkopt
from sparkopt.core import events
from sparkopt.core.records import Policy
from sparkopt.core.states import Outcome
from sparkopt.errors import StorageError
from sparkopt.wire.v1 import trial_pb2
from sparkopt.worker import checkpoints
from tests.coordinator.checkpoint_objectives import LARGE, follow
from tests.coordinator.rig import process_a
from tests.coordinator.test_full_disks import full
from tests.coordinator.test_lost_workers import worker_of

SOON = Policy(silence=10, grace=0.3)

ONES = [
    (("save", {"epoch": 3}), {"epoch": 3}),
    (("save", b"x" * LARGE), b"x" * LARGE),
    (("save directory", {"a": 3, "below/b": 0}), {"a": bytes(3), "below/b": b""}),
    (("save directory", {"below/b": LARGE}), {"below/b": bytes(LARGE)}),
]
"""Deeds that save one, each with what is loaded then."""


@pytest.fixture
def open_study(make_rig):
    """Opens a study that follows what it is told; closes it at the end, as whoever opens one does."""
    studies = []

    def open_study(rig):
        studies.append(rig.study(follow))
        return studies[-1]

    yield open_study
    for study in studies:
        study.channel.close()


def files_of(rig):
    """What the driver has in files."""
    return [path for path in (rig.directory / "driver").glob("*/*") if path.is_file()]


def unpacked(rig):
    return [path for path in (rig.directory / "workers").rglob("*") if checkpoints.UNPACKED in path.name]


def test_the_last_one_is_loaded_and_none_is_left(open_study, rig):
    rig.work(0)
    study = open_study(rig)
    load = ("load",)
    saves = [each for save, loaded in ONES for each in (save, load)]
    study.submit([load, *saves, load], [load])
    found = [loaded for save, loaded in ONES]
    assert study.result() == [1, "nothing", *found, found[-1]]
    assert study.result() == [1, "nothing"]
    assert files_of(rig) == []
    rig.close()  # which waits for what workers remove behind their trials
    assert unpacked(rig) == []


@pytest.mark.parametrize(("save", "loaded"), ONES[::3], ids=["small", "large directory"])
def test_the_next_attempt_has_it_when_the_worker_was_killed(open_study, make_rig, save, loaded):
    rig = make_rig(limit=1)
    workers = rig.work(0, 1)
    for _ in workers:
        rig.heard(events.WorkerJoined)
    study = open_study(rig)
    study.submit([("load",), save, ("meet", rig.post.path)])
    first = rig.post.visit()
    killed = worker_of(first, workers)
    process_a(killed).kill()
    # With a grace so short that this need not be said, a busy machine takes the other worker for lost too.
    gone = f"gang0.1/worker{workers.index(killed)}"
    rig.coordinator.post_event(events.WorkerGone(gone, "by the test"))
    second = rig.post.visit()
    first.wait_for_the_end()
    second.answer()
    settled = study.settled()
    assert (settled.outcome, settled.attempt) == (Outcome.OK, 2)
    assert settled.result.load() == [2, loaded]
    assert files_of(rig) == []


def test_the_older_one_goes_when_the_newer_one_is_whole(open_study, rig):
    rig.work(0)
    study = open_study(rig)
    meet = ("meet", rig.post.path)
    study.submit([("save", b"1" * LARGE), meet, ("save", b"2" * LARGE), meet, ("save", 3), meet])
    sizes = []
    for _ in range(3):
        visit = rig.post.visit()
        sizes.append([path.stat().st_size > LARGE for path in files_of(rig)])
        visit.answer()
    study.settled()
    assert sizes == [[True], [True], []]


def test_a_trial_that_is_cancelled_or_fails_leaves_none(open_study, rig):
    rig.work(0)
    study = open_study(rig)
    save = ("save", bytes(LARGE))
    (cancelled, _) = study.submit([save, ("meet", rig.post.path)], [save, ("no such deed",)])
    rig.post.visit()
    study.channel.cancel(cancelled, "by the test")
    assert [study.settled().outcome for _ in range(2)] == [Outcome.CANCELLED, Outcome.FAILED]
    assert files_of(rig) == []


def test_a_study_that_ends_leaves_none(open_study, rig):
    rig.work(0)
    study = open_study(rig)
    study.submit([("save", bytes(LARGE)), ("load",), ("meet", rig.post.path)])
    rig.post.visit()
    study.channel.close()
    assert files_of(rig) == []


def test_a_stale_attempt_saves_nothing(open_study, make_rig):
    rig = make_rig(limit=1, policy=SOON)
    study = open_study(rig)
    study.submit([])
    stale, live = rig.peer(), rig.peer()
    stale.hello(0)
    stale.hear("welcome")
    first = stale.hear("assignment").assignment.attempt
    ask(stale, 1, first, "Save", b"of the first")
    assert stale.hear("reply").reply.body.inline == b""
    rig.coordinator.post_event(events.WorkerGone("gang0.1/worker0", "by the test"))
    live.hello(1)
    live.hear("welcome")
    second = live.hear("assignment").assignment.attempt
    assert (first.attempt, second.attempt) == (1, 2)
    ask(stale, 2, first, "Save", b"stale")
    assert stale.hear("reply").reply.failure.message == "the trial is no longer this worker's"
    ask(live, 1, second, "Load")
    assert live.hear("reply").reply.body.inline == b"of the first"
    live.outcome(second, 2, kind=trial_pb2.OUTCOME_KIND_OK)
    assert study.settled().attempt == 2


def ask(peer, number, attempt, method, body=b""):
    """Have a worker that the test plays ask about checkpoints."""
    payload = trial_pb2.Payload(inline=body)
    request = trial_pb2.Request(attempt=attempt, id=number, method=f"checkpoint.{method}", body=payload)
    peer.say(number, request=request)


def test_the_drivers_disk_is_full_and_the_one_before_stays(open_study, rig, worker, driver):
    study = open_study(rig)
    with full(driver):
        study.submit([("save", "before"), ("save", b"x" * LARGE), ("load",)])
        _, error, loaded = study.result()
    assert error.startswith("StorageError: the checkpoint was not kept: ")
    assert "File too large" in error
    assert f"{rig.directory}/driver/sparkopt-results-" in error
    assert loaded == "before"
    assert files_of(rig) == []


def test_the_workers_disk_is_full_and_the_one_before_stays(open_study, rig, worker):
    study = open_study(rig)
    study.submit([("save", "before"), ("save on a full disk", b"x" * LARGE), ("load",)])
    _, error, loaded = study.result()
    assert error.startswith("StorageError: a checkpoint could not be stored in ")
    assert "File too large" in error
    assert loaded == "before"
    assert len(rig.files_of_workers()) == 1  # the objective


def test_the_workers_disk_does_not_take_the_one_that_is_loaded(open_study, rig, worker):
    study = open_study(rig)
    study.submit(
        [("save", b"x" * LARGE), ("meet", rig.post.path), ("load",), ("meet", rig.post.path), ("load",)]
    )
    first = rig.post.visit()
    with full(worker):
        first.answer()
        second = rig.post.visit()
    second.answer()
    error, loaded = study.result()[-2:]
    assert error.startswith("StorageError: the checkpoint cannot be loaded: ")
    assert loaded == b"x" * LARGE


def test_values_and_heartbeats_go_on_while_one_is_on_its_way(open_study, rig):
    rig.work(0)
    study = open_study(rig)
    here, go_on = asyncio.Event(), asyncio.Event()
    receive = rig.coordinator.blobs.receive

    async def held(worker, incoming):
        here.set()
        await go_on.wait()
        return await receive(worker, incoming)

    rig.coordinator.blobs.receive = held
    values = []
    study.channel.on_values = lambda reported: values.extend(reported.series)
    study.submit([("save beside reports", LARGE, 40), ("load",)])
    while len(values) < 40:
        assert study.nothing_settles()
    rig.heard_up_to(events.Heartbeat, 3)
    rig.coordinator.post(go_on.set)
    assert study.result() == [1, bytes(LARGE)]
    assert here.is_set()


@pytest.mark.parametrize(("save", "what"), [(True, "a checkpoint"), (False, "the request for a checkpoint")])
def test_a_forked_child_is_refused(open_study, rig, save, what):
    rig.work(0)
    study = open_study(rig)
    study.submit([("in child", save), ("save", 1), ("load",)])
    attempt, said, loaded = study.result()
    assert said.startswith(f"TrialError: {what} came from process ")
    assert (attempt, loaded) == (1, 1)


class TestAlone:
    """Outside of a trial."""

    @pytest.mark.parametrize("checkpoint", [0, {"weights": [1.0]}, lambda: 3, "text"])
    def test_nothing_is_kept(self, checkpoint):
        sparkopt.save_checkpoint(checkpoint)
        assert sparkopt.load_checkpoint() is None

    def test_a_directory(self, tmp_path):
        (tmp_path / "file").write_bytes(b"1")
        sparkopt.save_checkpoint(tmp_path)

    def test_a_directory_of_two_gibibytes_is_refused_before_it_is_read(self, tmp_path):
        with (tmp_path / "holes").open("wb") as file:
            file.truncate(2 * 2**30 + 1)
        with pytest.raises(StorageError, match="has 2,147,483,648 bytes at most"):
            sparkopt.save_checkpoint(tmp_path)

    def test_what_is_no_checkpoint_is_refused(self, tmp_path):
        with pytest.raises(TypeError, match="None cannot be saved"):
            sparkopt.save_checkpoint(None)
        with pytest.raises(TypeError, match="is given as a pathlib"):
            sparkopt.save_checkpoint(str(tmp_path))
        with pytest.raises(ValueError, match="is not a directory"):
            sparkopt.save_checkpoint(tmp_path / "missing")
        with pytest.raises(TypeError, match="cannot pickle"):
            sparkopt.save_checkpoint(threading.Lock())

    def test_what_is_too_large_is_refused(self, monkeypatch):
        monkeypatch.setattr(checkpoints, "CHECKPOINT_BYTES", 1000)
        sparkopt.save_checkpoint(bytes(900))
        with pytest.raises(StorageError, match="has 1,000 bytes at most"):
            sparkopt.save_checkpoint(bytes(1000))
