"""Fate of a worker's task: the executor that it runs on, and Spark's word on why it has ended.

Spark keeps both in its status store, which a classic session can read. One of Spark Connect tells nothing of
single tasks; there only the end of a job says something.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from sparkopt.spark import classic
from sparkopt.spark.session import Session, is_connect

_UNRELATED: Final = "exited unrelated to the running tasks"
"""Spark's words for an executor that went for no fault of its tasks: ``exitCausedByApp`` is false. It was
decommissioned, idle, preempted by the cluster, or its machine is gone."""

_KILLED: Final = "KILLED"
"""Spark's word for a task that was ended from outside, and has not failed."""

_CHARACTERS: Final = 300


@dataclass(frozen=True, slots=True)
class TaskFate:
    """The fate of one attempt of a task.

    Attributes:
        executor: Spark's id of its executor.
        ended: whether it has ended.
        lost: whether it has ended before it had come to its end.
        preempted: whether it was ended for no fault of its own.
        reason: why it has ended, in a line.
    """

    executor: str
    ended: bool = False
    lost: bool = False
    preempted: bool = False
    reason: str = ""


def is_preemption(text: str) -> bool:
    """Returns whether Spark says in an error that an executor went for no fault of the task."""
    return _UNRELATED in text


def fate_of(session: Session, tag: str, task_attempt_id: int) -> TaskFate | None:
    """The fate of an attempt of a task; None if it cannot be found out.

    Args:
        session: where it runs, or has run.
        tag: of its job.
        task_attempt_id: Spark's id of the attempt.
    """
    if is_connect(session):
        return None
    try:
        found = classic.task_of(session, tag, task_attempt_id)
    except Exception:  # noqa: BLE001 - the session is being stopped, or its store has just dropped the job
        return None
    if found is None:
        return None
    executor, status, error = found
    if status in ("RUNNING", "PENDING"):
        return TaskFate(executor)
    reason = error.strip().partition("\n")[0][:_CHARACTERS] or f"its task has ended ({status.lower()})"
    preempted = status == _KILLED or is_preemption(error)
    return TaskFate(executor, True, status != "SUCCESS", preempted, reason)


def is_leaving(session: Session, executor: str) -> bool:
    """Returns whether Spark knows that an executor is about to go."""
    if is_connect(session):
        return False
    try:
        return classic.is_decommissioned(session, executor)
    except Exception:  # noqa: BLE001 - as above
        return False
