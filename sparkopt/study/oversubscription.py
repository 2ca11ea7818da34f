"""Warning of a host whose cores objectives wait for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparkopt.errors import CrowdedHostWarning, warn

if TYPE_CHECKING:
    from sparkopt.coordinator import CpuOversubscription


def warn_of(found: CpuOversubscription) -> None:
    """Warn of a host's objectives that use more threads than it has cores."""
    warn(
        f"{found.workers} workers on {found.host} run objectives with {found.threads} BLAS or"
        f" OpenMP threads each, and there are {found.cores} cores: they wait for one another. Limit"
        " the threads (threadpoolctl.threadpool_limits in the objective, or OMP_NUM_THREADS for the"
        " executors), or give each task as many cores (spark.task.cpus, or a resource_profile).",
        CrowdedHostWarning,
    )
