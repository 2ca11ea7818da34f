"""Intermediate values of the trial that this process runs, reported by the objective, and the word to stop.

    any thread of the objective's ──▶ report ──▶ VALUE, a frame ──▶ process A ──▶ stream ──▶ coordinator
                                        ▲                                                     │ its verdict
                             TrialPruned └── prune_flag.py ◀── process A ◀── stream ◀─────────┘

Nobody waits for an answer, neither from the driver nor from process A: a report costs a system call. Process
A gathers what the driver is too busy for (values_under_way.py).

An evaluator runs one trial at a time. So a value is that of the trial that runs, from whichever thread and
from however deep below the objective it comes.
"""

from __future__ import annotations

from operator import index
from typing import Final, SupportsFloat, SupportsIndex

from sparkopt.errors import TrialPruned
from sparkopt.worker import trial_info
from sparkopt.worker.evaluator_socket import EvaluatorSocket
from sparkopt.worker.prune_flag import PruneFlag

_STEPS: Final = 2**63
"""Number of steps that there are."""


class _ValueReporter:
    """Reports the values of one trial after another.

    Args:
        sock: to process A.
        flag: says which run is to stop early.
    """

    def __init__(self, sock: EvaluatorSocket, flag: PruneFlag) -> None:
        self._sock = sock
        self._flag = flag
        self._run = 0
        self._last = 0

    def report(self, value: float, step: int | None) -> None:
        """Send a value, with the step after the last one if it comes without."""
        sock = self._sock
        sock.refuse_children("an intermediate value")
        with sock.sending:  # so that steps that are counted arrive in order
            if self._run != sock.run:
                self._run, self._last = sock.run, 0
            if step is None:
                step = self._last + 1
                if step >= _STEPS:
                    _checked_step(step)
            self._last = step
            sock.send_value(step, value)

    @property
    def is_to_stop(self) -> bool:
        """True if the trial is to stop early."""
        return self._flag.is_to_stop(self._sock.run)


_reporter: _ValueReporter | None = None


def report(value: SupportsFloat, step: SupportsIndex | None = None) -> None:
    """Report an intermediate value of the trial that runs: its loss so far, for instance.

    Any thread of the objective may call it, and code that the objective calls, such as a callback of a
    library. It returns in microseconds and does not wait for the driver. Outside of a trial it checks its
    arguments and does nothing, so that an objective can be called by itself.

    If the search prunes, this raises once the driver has found that the trial is to stop, some milliseconds
    after the value that decided it, and at every later call.

    Args:
        value: a number; NaN and infinity count like other values.
        step: the step of the value, such as the epoch; at least 0. Without one it is one more than the last
            step, and 1 at first. Steps may go back: the last value of a step counts.

    Raises:
        TrialPruned: if the trial is to stop. Let it pass; it is not an ``Exception``.
        TypeError: if the value is not a number, or the step is not an integer.
        ValueError: if no float holds the value, or the step is negative or too large.
        TrialError: in a process that the objective has forked, which cannot report; or if the worker is being
            ended.

    Example:
        >>> def objective(x):
        ...     for epoch in range(1, 4):
        ...         loss = x / epoch
        ...         sparkopt.report(loss, epoch)
        ...     return loss
        >>> objective(1.5)  # outside of a trial
        0.5
    """
    report_quietly(value, step)
    if should_prune():
        raise TrialPruned("the trial stops early, because of the values that it has reported")


def report_quietly(value: SupportsFloat, step: SupportsIndex | None = None) -> None:
    """Report as :func:`report` does, but raise no TrialPruned."""
    number = value if type(value) is float else _number(value)
    if step is not None:
        step = _checked_step(step)
    if _reporter is not None and trial_info.runs():
        _reporter.report(number, step)


def should_prune() -> bool:
    """Returns whether the trial is to stop early, for code that asks rather than has :func:`report` raise.

    It takes less than a microsecond. A trial that returns its result all the same has that result. False
    outside of a trial.

    Example:
        >>> def objective(x):
        ...     for epoch in range(1, 31):
        ...         if sparkopt.should_prune():
        ...             raise sparkopt.TrialPruned
        ...         loss = train_one_epoch(x)
        ...     return loss
        >>> objective(1.5)
        1.5
    """
    return _reporter is not None and trial_info.runs() and _reporter.is_to_stop


def is_pruned(error: BaseException) -> bool:
    """Returns whether an error comes of :class:`~sparkopt.errors.TrialPruned`, or is a group with one."""
    seen: set[int] = set()
    left: list[BaseException | None] = [error]
    while left:
        each = left.pop()
        if each is None or id(each) in seen:
            continue
        if isinstance(each, TrialPruned):
            return True
        seen.add(id(each))
        left += (each.__cause__, each.__context__)
        inner = getattr(each, "exceptions", ())  # of a group, which Python 3.10 has not
        if isinstance(inner, tuple):
            left += (other for other in inner if isinstance(other, BaseException))
    return False


def report_through(sock: EvaluatorSocket, flag: PruneFlag) -> None:
    """Have the values of this process's trials go to process A, and its word come from there."""
    global _reporter
    _reporter = _ValueReporter(sock, flag)


def _number(value: SupportsFloat) -> float:
    if isinstance(value, (str, bytes, bytearray)):
        raise TypeError(f"an intermediate value is a number, not {_shown(value)}")
    dtype = getattr(value, "dtype", None)
    if getattr(dtype, "kind", "") == "c" or getattr(dtype, "is_complex", False):
        # NumPy would warn, and take the real part.
        raise TypeError(f"an intermediate value is a number, not the complex one {_shown(value)}")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"the intermediate value {_shown(value)} is larger than any float") from None
    except (TypeError, ValueError) as error:
        raise TypeError(f"an intermediate value is a number, not {_shown(value)}: {error}") from None


def _checked_step(step: SupportsIndex) -> int:
    try:
        number = index(step)
    except TypeError:
        raise TypeError(f"the step of an intermediate value is an integer, not {_shown(step)}") from None
    if not 0 <= number < _STEPS:
        raise ValueError(f"the step of an intermediate value is from 0 to 2**63 - 1, not {number}")
    return number


def _shown(value: object) -> str:
    return f"the {type(value).__name__} {value!r:.100}"
