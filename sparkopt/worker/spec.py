"""Specification of a worker, sent in the closure of Spark's task."""

from __future__ import annotations

import logging
import re
from dataclasses import dataclass, field
from typing import Final

from sparkopt.wire.limits import GRACE_SECONDS, HEARTBEAT_SECONDS

_NAME: Final = re.compile(r"gang\d+\.\d+/worker(\d+)(?:-retry(\d+))?(?:\.\d+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Address at which the coordinator listens.

    Attributes:
        address: ``host:port``.
        token: what every call must carry.
        certificate: the pool's certificate, PEM; None on loopback, where there is no TLS.
    """

    address: str
    token: str = field(repr=False)
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A gang's worker, without its slot.

    Attributes:
        endpoint: where the coordinator listens.
        gang: the number of its gang.
        generation: how many times that gang has been launched.
        heartbeat: seconds between heartbeats.
        grace: seconds without contact after which the worker gives its attempt up.
        loading: seconds that an objective with a timeout may take to be loaded, if its timeout is shorter.
        log_level: messages of the worker's logger below this level are not made.
    """

    endpoint: Endpoint
    gang: int
    generation: int
    heartbeat: float = HEARTBEAT_SECONDS
    grace: float = GRACE_SECONDS
    loading: float = 300.0
    log_level: int = logging.WARNING

    def name(self, slot: int, life: int = 1, task_attempt: int = 0) -> str:
        """The worker's name.

        A worker that was given up has another one in its next life, and so has one whose task Spark has
        started again.
        """
        name = f"gang{self.gang}.{self.generation}/worker{slot}"
        if task_attempt:
            name = f"{name}-retry{task_attempt}"
        return name if life == 1 else f"{name}.{life}"


def slot_of(name: str) -> int | None:
    """The slot of the worker that has this name in one of its lives; None if it is not a worker's name."""
    found = _NAME.fullmatch(name)
    return None if found is None else int(found[1])


@dataclass(frozen=True, slots=True)
class TaskAttempt:
    """Spark's attempt of a worker's task.

    Attributes:
        number: 0, or more if Spark has started the task again or a second time.
        id: unique within the application; None if nothing tells.
    """

    number: int = 0
    id: int | None = None


def task_attempt_of(name: str) -> int:
    """Spark's number of the attempt of the task of the worker that has this name; 0 if it is no such name."""
    found = _NAME.fullmatch(name)
    return 0 if found is None else int(found[2] or 0)


FIRST_ATTEMPT: Final = TaskAttempt()


@dataclass(frozen=True, slots=True)
class Birth:
    """Identity of one life of a worker.

    Attributes:
        key: secret of the worker, by which the coordinator recognizes it.
        life: number of the worker's lives so far, this one included.
        task: Spark's attempt of its task.
    """

    key: str = field(repr=False)
    life: int = 1
    task: TaskAttempt = FIRST_ATTEMPT
