"""Information on the trial that this process runs, for the objective.

An evaluator runs one trial at a time. So what is known of it holds for all threads of the process, and for
code anywhere below the objective.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrialInfo:
    """The trial that runs.

    Attributes:
        tid: its number within its search.
        attempt: number of this attempt, from 1; above that, workers that ran the trial were lost.
        worker: name of the worker that runs it.
        gpus: addresses of the GPUs that Spark gave the worker; the trial sees these alone. Empty if Spark
            gave none, which says nothing of what the machine has.
    """

    tid: int
    attempt: int
    worker: str
    gpus: tuple[str, ...] = ()


_gpus: tuple[str, ...] = ()
_trial: Sequence[int | str] | None = None


def trial_info() -> TrialInfo | None:
    """Returns what is known of the trial that runs; None outside of one, so that an objective runs alone.

    Example:
        >>> def objective(x):
        ...     info = sparkopt.trial_info()
        ...     return "cuda" if info is not None and info.gpus else "cpu"
        >>> objective(1.0)  # outside of a trial
        'cpu'
    """
    if _trial is None:
        return None
    tid, attempt, worker = _trial
    return TrialInfo(int(tid), int(attempt), str(worker), _gpus)


def runs() -> bool:
    """Returns whether a trial runs in this process."""
    return _trial is not None


def has_gpus(gpus: Sequence[str]) -> None:
    """Note the GPUs of this process and of those that it forks."""
    global _gpus
    _gpus = tuple(gpus)


def begin(trial: Sequence[int | str] | None) -> None:
    """Note the trial that begins: its number, its attempt's, and its worker's name; None if one has ended."""
    global _trial
    _trial = trial
