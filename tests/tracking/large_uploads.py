"""A tracked search whose eight workers log a large file each at the same time; a process of its own.

    python large_uploads.py BYTES

MLflow's current store and experiment are those of the environment. Prints JSON: by how much the driver's
memory grew at most, in bytes; the longest time between two heartbeats of a worker, in seconds; and how many
of its trials succeeded.
"""

from __future__ import annotations

import json
import sys
import threading
import time

import cloudpickle
import psutil

from sparkopt import SparkTrials, fmin
from sparkopt.coordinator import Coordinator
from sparkopt.spark.session import get_session
from tests.support import study_tools
from tests.support.study_tools import CASE, in_order

WORKERS = 8

cloudpickle.register_pickle_by_value(study_tools)


class Gaps:
    """Notes the longest time between two heartbeats of each worker."""

    def __init__(self) -> None:
        self.longest = 0.0
        last: dict[str, float] = {}
        arrived = Coordinator.heartbeat_arrived

        def noted(own, stream):
            now = time.monotonic()
            self.longest = max(self.longest, now - last.get(stream.worker, now))
            last[stream.worker] = now
            arrived(own, stream)

        Coordinator.heartbeat_arrived = noted


class Memory:
    """Watches this process's memory."""

    def __init__(self) -> None:
        self._process, self._over = psutil.Process(), threading.Event()
        self._before = self._process.memory_info().rss
        self.growth = 0
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.growth = max(self.growth, self._process.memory_info().rss - self._before)

    def stop(self) -> None:
        """Watch no more."""
        self._over.set()
        self._thread.join()


def logs(size):
    """Make an objective that logs a file of so many bytes."""

    def objective(case):
        from pathlib import Path
        from tempfile import TemporaryDirectory

        import mlflow

        with TemporaryDirectory() as directory:
            large = Path(directory, "large.bin")
            with large.open("wb") as file:
                for start in range(0, size, 1 << 20):
                    file.write(b"x" * min(1 << 20, size - start))
            mlflow.log_artifact(large)
        return case

    return objective


def main(size: int) -> None:
    """Search twice: with small files, so that everything is loaded, and with large ones."""
    session = get_session(settings={"spark.master": f"local[{WORKERS}]", "spark.ui.enabled": "false"})
    session.sparkContext.setLogLevel("OFF")

    def search(size):
        trials = SparkTrials(WORKERS, spark_session=session, tracking=True)
        fmin(logs(size), CASE, in_order, WORKERS, trials=trials, verbose=False)
        return trials.count_successful_trials()

    search(1000)
    gaps, memory = Gaps(), Memory()
    succeeded = search(size)
    memory.stop()
    session.stop()
    said = {"growth": memory.growth, "gap": gaps.longest, "succeeded": succeeded}
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]))
