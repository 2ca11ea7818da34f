"""Identities of workers: a name belongs to the process that was the first to say hello under it.

All workers have the same token. A worker's key is its own, so that none can speak for another.
"""

from __future__ import annotations

import hmac
from collections.abc import Collection

from sparkopt.core.machine import Machine
from sparkopt.errors import ImpostorError, UnknownWorkerError
from sparkopt.wire.v1 import worker_pb2
from sparkopt.worker.spec import slot_of


class Identities:
    """The keys of the workers that the machine knows. Used from the coordinator's loop.

    Args:
        machine: knows the workers.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._keys: dict[str, str] = {}

    def check(self, hello: worker_pb2.Hello) -> None:
        """Check that a hello comes from the worker that it names.

        Raises:
            ImpostorError: if it is in the name of another worker, or says that it was another one.
        """
        for name in (hello.worker, hello.formerly):
            if name in self._keys:
                self._compare(name, hello.key)

    def bind(self, hello: worker_pb2.Hello) -> None:
        """Bind a worker's name to its key, if the machine has taken it in; forget whom it has forgotten."""
        workers = self._machine.workers
        self._keys = {name: key for name, key in self._keys.items() if name in workers}
        if hello.worker in workers:
            self._keys.setdefault(hello.worker, hello.key)

    def in_slots(self, gang: int, slots: Collection[int]) -> tuple[str, ...]:
        """The names of a gang's workers in these slots, in whichever of their lives."""
        workers = self._machine.workers.items()
        return tuple(name for name, worker in workers if worker.gang == gang and slot_of(name) in slots)

    def check_call(self, name: str, key: str) -> None:
        """Check that a call comes from a worker that is here.

        Raises:
            UnknownWorkerError: if no worker of that name is here, or it has left.
            ImpostorError: if it is somebody else's call.
        """
        if name not in self._machine.present() or name not in self._keys:
            raise UnknownWorkerError(
                f"there is no worker {name[:100]!r} here, or it has left: say hello first"
            )
        self._compare(name, key)

    def _compare(self, name: str, key: str) -> None:
        if not hmac.compare_digest(self._keys[name].encode(), key.encode()):
            raise ImpostorError(f"{name} is another worker: its key is another one")
