"""Workers of one host that compute with more threads together than the host has cores."""

from __future__ import annotations

from collections.abc import Iterable

from sparkopt.coordinator.channels.study_events import CpuOversubscription
from sparkopt.coordinator.worker_service import WorkerStream


def oversubscription_of(
    streams: Iterable[WorkerStream], stream: WorkerStream, threads: int
) -> CpuOversubscription | None:
    """The oversubscription, if any, of a worker's host when each worker there uses ``threads`` threads.

    Args:
        streams: of all workers.
        stream: of a worker on that host.
        threads: that each of them computes with.
    """
    if threads < 2:
        return None
    workers = sum(each.host == stream.host for each in streams)
    if workers < 2 or workers * threads <= stream.cores:
        return None
    return CpuOversubscription(stream.host, workers, threads, stream.cores)
