"""Objectives to be measured with. Workers import this module, so it imports next to nothing itself."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from typing import Any


def no_op(x: float) -> float:
    """Costs nothing, so that what remains is overhead."""
    return 0.0


class Faulty:
    """An objective that says of each run that it began, and that does harm to itself where it is told to.

    The files are append-only, one for each trial: what has been done twice is in there twice. A line is what
    happened, the time since the epoch, and the pid of the worker's nursery, which the worker keeps.

    Args:
        place: the directory for the files.
        faults: what the trials of these ids do in the end, by the names of :class:`benchmarks.faults.Fault`.
        seconds: that a trial takes.
    """

    def __init__(self, place: str, faults: Mapping[int, str], seconds: float) -> None:
        self.place, self.faults, self.seconds = place, faults, seconds

    def __call__(self, number: float) -> Any:
        """Run the trial of this number."""
        tid = int(number)
        self._note(tid, "began")
        time.sleep(self.seconds)
        fault = self.faults.get(tid)
        if fault is None:
            return float(tid)
        self._note(tid, "fault")
        return getattr(self, f"_{fault}")()

    def _note(self, tid: int, what: str) -> None:
        line = f"{what} {time.time()} {os.getppid()}\n".encode()
        file = os.open(os.path.join(self.place, str(tid)), os.O_WRONLY | os.O_APPEND | os.O_CREAT)  # noqa: PTH118
        os.write(file, line)
        os.close(file)

    def _segfault(self) -> None:
        import ctypes
        import resource

        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        ctypes.string_at(0)

    def _sigkill(self) -> None:
        import signal

        os.kill(os.getpid(), signal.SIGKILL)

    def _exit(self) -> None:
        os._exit(3)

    def _exception(self) -> None:
        raise ValueError("as planned")

    def _unpicklable(self) -> Any:
        import threading

        return {"status": "ok", "loss": 0.0, "lock": threading.Lock()}

    def _hang(self) -> None:
        import ctypes

        ctypes.PyDLL(None).sleep(3600)  # unlike CDLL it keeps the GIL


def thousand_metrics(x: float) -> float:
    """Log a metric a thousand times with MLflow."""
    import mlflow

    for step in range(1000):
        mlflow.log_metric("value", x, step=step)
    return x


class Noting:
    """An objective that notes in a file when it began and when it ended, whoever runs it and wherever.

    Args:
        place: the file: append-only, a line for each trial.
        least: seconds that a trial takes at least; at x = -1.
        most: seconds that it takes at most; at x = 1.
    """

    def __init__(self, place: str, least: float = 0.0, most: float = 0.0) -> None:
        self.place, self.least, self.most = place, least, most

    def __call__(self, x: float) -> float:
        """Take some time."""
        began = time.time()
        if self.most:
            time.sleep(self.least + (self.most - self.least) * (x + 1) / 2)
        line = f"{began} {time.time()}\n".encode()
        file = os.open(self.place, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.write(file, line)
        os.close(file)
        return x


class Meeting:
    """An objective that ends when so many of its trials run at once.

    Args:
        place: a directory that is empty.
        number: how many.
        seconds: that it waits for the others, at most.
    """

    def __init__(self, place: str, number: int, seconds: float) -> None:
        self.place, self.number, self.seconds = place, number, seconds

    def __call__(self, x: float) -> float:
        """Come, and wait for the others."""
        import uuid

        deadline = time.monotonic() + self.seconds
        with open(os.path.join(self.place, uuid.uuid4().hex), "w"):  # noqa: PTH118, PTH123
            pass
        while len(os.listdir(self.place)) < self.number:  # noqa: PTH208
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.number} trials do not run at once")
            time.sleep(0.02)
        return x


class Carrying:
    """An objective that has a lot with it.

    Args:
        size: in bytes, of data that does not get smaller when it is compressed.
    """

    def __init__(self, size: int) -> None:
        self.data = os.urandom(size)
        self.size = size

    def __call__(self, x: float) -> float:
        """Look whether it is all there."""
        if len(self.data) != self.size:
            raise ValueError(f"{len(self.data)} of {self.size} bytes are here")
        return x
