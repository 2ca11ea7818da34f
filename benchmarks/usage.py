"""What the driver uses while something runs: memory, threads, files and processes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import psutil


@dataclass(frozen=True, slots=True)
class Sample:
    """What the driver uses, its JVM's share by itself. Memory in bytes."""

    time: float
    memory: int
    threads: int
    files: int
    processes: int
    jvm_memory: int
    jvm_threads: int
    jvm_files: int


class Sampler:
    """Looks at this process and its JVM every so often.

    Args:
        pause: waits until it is time to look again, and says whether to go on.
    """

    def __init__(self, pause: Callable[[], bool]) -> None:
        self._pause = pause
        self._own = psutil.Process()
        self._jvm = next(each for each in self._own.children() if each.name() == "java" and _is_driver(each))
        self.samples: list[Sample] = []

    def run(self) -> None:
        """Look until there is nothing more to be seen."""
        while self._pause():
            own, jvm = self._own, self._jvm
            self.samples.append(
                Sample(
                    time=time.time(),
                    memory=own.memory_info().rss,
                    threads=own.num_threads(),
                    files=own.num_fds(),
                    # Those of the cluster come and go by design.
                    processes=len(own.children()) + len(jvm.children(recursive=True)),
                    jvm_memory=jvm.memory_info().rss,
                    jvm_threads=jvm.num_threads(),
                    jvm_files=jvm.num_fds(),
                )
            )


def _is_driver(process: psutil.Process) -> bool:
    return any("SparkSubmit" in argument for argument in process.cmdline())
