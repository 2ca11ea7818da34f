"""Thread pools of the libraries that an objective computes with."""

from __future__ import annotations

import ctypes
import os
import re
import sys
from pathlib import Path
from typing import Final

_LOADERS: Final = ("numpy", "torch")
"""Without any of these there is no BLAS in a Python process, and nobody need look."""

_MAPPED: Final = Path("/proc/self/maps")

_LIBRARY: Final = re.compile(r"/\S*/lib(?:(?:scipy_)?openblas|gomp|iomp|omp|mkl_rt)[^/\s]*\.so[^/\s]*$", re.M)

_COUNTERS: Final = (
    "openblas_get_num_threads",
    "openblas_get_num_threads64_",
    "scipy_openblas_get_num_threads",
    "scipy_openblas_get_num_threads64_",
    "MKL_Get_Max_Threads",
    "omp_get_max_threads",
)
"""Functions without arguments that return how many threads a library computes with. OpenBLAS comes before
OpenMP: it may have been built on that, and then has its functions too."""


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
        found = _threads()
        self._modules = len(sys.modules)
        return max(found, default=0)


def _threads() -> list[int]:
    """Number of threads of each pool of this process; none without threadpoolctl, which is optional."""
    try:
        import threadpoolctl
    except ImportError:
        return []
    if hasattr(threadpoolctl, "ThreadpoolController") or not _MAPPED.exists():
        return [int(pool["num_threads"]) for pool in threadpoolctl.threadpool_info()]
    # Before 3.0 threadpoolctl does not know the functions of NumPy's own OpenBLAS, whose names end with 64_
    # since NumPy 1.22: it leaves that pool out and writes a traceback to standard error. Databricks up to
    # 16.4 ML has 2.2.
    return read_threads(_MAPPED.read_text())


def read_threads(maps: str) -> list[int]:
    """Number of threads of each pool of this process, as its libraries themselves say.

    Args:
        maps: what the process has mapped, as ``/proc/self/maps`` has it.
    """
    counts = []
    for path in set(_LIBRARY.findall(maps)):
        library = ctypes.CDLL(path, mode=os.RTLD_NOLOAD)
        counter = next((name for name in _COUNTERS if hasattr(library, name)), None)
        if counter is not None:
            counts.append(int(getattr(library, counter)()))
    return counts
