"""A disk that takes no more, on either side, costs the trials that need it, with a reason that names it."""

from __future__ import annotations

import contextlib
import resource

import psutil

from sparkopt.core.states import Outcome
from sparkopt.errors import StorageError
from sparkopt.wire.report_kinds import ReportKind
from tests.coordinator import meetings

MIB = 2**20


@contextlib.contextmanager
def full(process):
    """Let a process write no file of more than 1.5 MiB, which is the kernel's own way to run out of room."""
    before = process.rlimit(psutil.RLIMIT_FSIZE)
    process.rlimit(psutil.RLIMIT_FSIZE, (3 * MIB // 2, before[1]))
    try:
        yield
    finally:
        process.rlimit(psutil.RLIMIT_FSIZE, before)


def assert_named(settled, *names):
    assert settled.outcome is Outcome.FAILED
    assert settled.failure.type == f"{StorageError.__module__}.{StorageError.__qualname__}"
    for name in (*names, "File too large", "bytes free", "TMPDIR"):
        assert name in settled.failure.message


def files_of(rig):
    return list((rig.directory / "driver").glob("*/*"))


def test_a_result_that_the_drivers_disk_does_not_take(rig, worker, driver):
    study = rig.study(meetings.backwards)
    with full(driver):
        study.submit(b"ab" * MIB, b"small")
        assert_named(study.settled(), f"{rig.directory}/driver/sparkopt-results-")
        assert files_of(rig) == []
        assert study.result() == b"llams"
    study.submit(b"ab" * MIB)
    assert study.result() == b"ba" * MIB


def test_an_exception_that_the_drivers_disk_does_not_take_is_told_by_its_text(rig, worker, driver):
    study = rig.study(meetings.complain)
    with full(driver):
        study.submit("x" * 2 * MIB)
        settled = study.settled()
    assert (settled.outcome, settled.failure.type) == (Outcome.FAILED, "ValueError")
    assert settled.exception is None


def test_a_report_that_the_drivers_disk_does_not_take_is_the_objectives_error(rig, worker, driver):
    study = rig.study(meetings.Report())
    with full(driver):
        study.submit([(ReportKind.ATTACHMENT, bytes(2 * MIB), "model")], [(ReportKind.CHECKPOINT, 1)])
        assert_named(study.settled(), f"{rig.directory}/driver/sparkopt-results-")
    assert study.result() == "done"
    assert [each.body.load() for each in study.reported] == [1]
    assert files_of(rig) == []


def test_an_objective_that_the_workers_disk_does_not_take(rig, worker):
    large = bytes(2 * MIB)
    study = rig.study(lambda number: number + len(large))
    with full(worker):
        study.submit(1, 2)
        for _ in range(2):
            assert_named(study.settled(), f"{rig.directory}/workers/sparkopt-worker-")
        assert rig.files_of_workers() == []
    study.submit(3)
    assert study.result() == 3 + len(large)


def test_an_argument_that_the_workers_disk_does_not_take(rig, worker):
    study = rig.study(meetings.backwards)
    with full(worker):
        study.submit(b"ab" * MIB, b"small")
        assert_named(study.settled(), f"{rig.directory}/workers/sparkopt-worker-")
        assert study.result() == b"llams"
    assert len(rig.files_of_workers()) == 1  # the objective


def make_filler(size):
    """Bytes whose pickling fills the evaluator's disk."""

    class Filler:
        def __reduce__(self):
            resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))
            return bytes, (bytes(size),)

    return Filler()


class LoadedOnAFullDisk:
    """An objective whose loading fills the evaluator's disk: what a trial sets is put back."""

    def __setstate__(self, state):
        resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, resource.RLIM_INFINITY))

    def __getstate__(self):
        return "any"

    def __call__(self, size):
        return bytes(size)


def test_a_result_that_the_workers_disk_does_not_take(rig, worker):
    study = rig.study(LoadedOnAFullDisk())
    study.submit(2 * MIB, 3)
    assert_named(study.settled(), f"{rig.directory}/workers/sparkopt-worker-")
    assert study.result() == bytes(3)
    assert len(rig.files_of_workers()) == 1


def test_an_exception_that_the_workers_disk_does_not_take_is_told_by_its_text(rig, worker):
    def objective(size):
        error = ValueError("as it were")
        error.detail = make_filler(size)
        raise error

    study = rig.study(objective)
    study.submit(2 * MIB)
    settled = study.settled()
    assert (settled.outcome, settled.failure.type) == (Outcome.FAILED, "ValueError")
    assert settled.exception is None
    assert len(rig.files_of_workers()) == 1


def test_a_result_that_the_worker_cannot_read_on_its_way(rig, worker):
    study = rig.study(meetings.wait_for_bytes)
    study.submit((rig.post.path, 2 * MIB), (rig.post.path, 10))
    visit = rig.post.visit()
    before = worker.rlimit(psutil.RLIMIT_NOFILE)
    worker.rlimit(psutil.RLIMIT_NOFILE, (0, before[1]))
    visit.answer("return")
    settled = study.settled()
    assert settled.failure.type == f"{StorageError.__module__}.{StorageError.__qualname__}"
    assert "cannot be read on the worker: Too many open files" in settled.failure.message
    worker.rlimit(psutil.RLIMIT_NOFILE, before)
    rig.post.visit().answer("return")
    assert study.result() == bytes(10)
