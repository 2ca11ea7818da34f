"""Thread pools of this process's libraries, where threadpoolctl is too old to know NumPy's own."""

from __future__ import annotations

import os
import subprocess
import sys

from tests.support.paths import python_path

AS_BEFORE_3 = """
def threadpool_info():
    raise AttributeError("'NoneType' object has no attribute 'split'")
"""

LOOKS = """
import sys
import numpy
from sparkopt.worker.thread_pools import ThreadPools, read_threads

pools = ThreadPools()
print(pools.largest(), read_threads(open("/proc/self/maps").read()), pools.largest())
assert "threadpoolctl" in sys.modules
"""


def test_the_libraries_are_asked_where_threadpoolctl_is_too_old(tmp_path):
    (tmp_path / "threadpoolctl.py").write_text(AS_BEFORE_3)
    done = subprocess.run(
        [sys.executable, "-c", LOOKS],
        env={
            **os.environ,
            "OPENBLAS_NUM_THREADS": "1",
            "PYTHONPATH": os.pathsep.join([str(tmp_path), python_path()]),
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.stdout, done.stderr) == ("1 [1] 0\n", "")
