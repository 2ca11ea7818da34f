"""Greeting of a worker: its name, and the hello that its streams begin with."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence

from sparkopt.wire.v1 import worker_pb2
from sparkopt.worker import processes
from sparkopt.worker.spec import Birth, WorkerSpec


class Greeting:
    """Name and hello of a worker, in its current life.

    Args:
        spec: the gang's description.
        slot: which of the gang's workers it is.
        birth: by which the coordinator knows it again.
        gpus: addresses of those that Spark gave the task.

    Attributes:
        life: number of the worker's lives so far.
        name: the worker's.
        key: which it proves with that the name is its own.
    """

    def __init__(self, spec: WorkerSpec, slot: int, birth: Birth, gpus: Sequence[str]) -> None:
        self._spec = spec
        self._slot = slot
        self._birth = birth
        self.key = birth.key
        self._gpus = gpus
        self.life = birth.life
        self.name = self._name_in(birth.life)

    def begin_next_life(self) -> None:
        """Take another name."""
        self.life += 1
        self.name = self._name_in(self.life)

    def hello(self) -> worker_pb2.Hello:
        """The first message of a stream, without the attempt that the worker holds."""
        return worker_pb2.Hello(
            worker=self.name,
            gang=self._spec.gang,
            generation=self._spec.generation,
            host=socket.gethostname(),
            pid=os.getpid(),
            cores=processes.cores(),
            formerly=self._name_in(self.life - 1) if self.life > 1 else "",
            key=self.key,
            gpus=self._gpus,
            task_attempt=self._birth.task.number,
            task_attempt_id=self._birth.task.id,
        )

    def _name_in(self, life: int) -> str:
        return self._spec.name(self._slot, life, self._birth.task.number)
