"""Thread pools of the libraries that an objective computes with."""

from __future__ import annotations

import sys
from typing import Any, Final

_LOADERS: Final = ("numpy", "torch")
"""Without any of these there is no BLAS in a Python process, and nobody need look."""


class ThreadPools:
    """Looks at the BLAS and OpenMP libraries of this process, but only when something new was loaded."""

    def __init__(self) -> None:
        self._modules = 0

    def largest(self) -> int:
        """Returns how many threads the largest pool has.

        0 if there is none, or nothing was loaded since the last look.
        """
        if len(sys.modules) == self._modules or not any(name in sys.modules for name in _LOADERS):
            return 0
        found = _pools()
        self._modules = len(sys.modules)
        return max((int(pool["num_threads"]) for pool in found), default=0)


def _pools() -> list[dict[str, Any]]:
    """The pools of this process; none if there is no threadpoolctl, which a worker can do without."""
    try:
        import threadpoolctl
    except ImportError:
        return []
    found: list[dict[str, Any]] = threadpoolctl.threadpool_info()
    return found
