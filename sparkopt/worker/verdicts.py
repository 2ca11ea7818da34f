"""Outcomes of an attempt that process A words itself: failures that it finds out, and early stops."""

from __future__ import annotations

from sparkopt.errors import EvaluatorDiedError, TrialError, TrialTimeoutError
from sparkopt.wire.v1 import trial_pb2
from sparkopt.worker.supervisor import EvaluatorEnded


def death(ended: EvaluatorEnded) -> trial_pb2.Failure:
    """The evaluator's process ended without an answer."""
    if ended.peak_memory is None:
        return failure(
            EvaluatorDiedError,
            f"the process that ran the objective ended: {ended}, together with its parent, the process that"
            " starts and ends it, which somebody has stopped or killed",
        )
    peak = ended.peak_memory / 2**20
    if ended.fault is not None:
        return failure(
            EvaluatorDiedError,
            "the process that ran the objective was killed, as something else than an answer came from it:"
            f" {ended.fault}. An objective must not write to descriptors, or read from them, that it has not"
            " opened",
        )
    if ended.unheard:
        return failure(
            EvaluatorDiedError,
            "the process that ran the objective ended, as its answer could be neither sent nor saved: the"
            " objective has closed the connection to the worker, and cannot write to the worker's directory"
            " any more, or its disk is full",
        )
    said = f"the process that ran the objective ended: {ended} (peak memory {peak:,.0f} MiB)"
    if ended.killed:
        said += "; unless somebody sent that signal, its host or container was out of memory"
    return failure(EvaluatorDiedError, said)


def overdue(timeout: float, loading: float, *, loaded: bool) -> trial_pb2.Outcome:
    """The outcome of an attempt that took longer than it may.

    Args:
        timeout: seconds for the objective.
        loading: seconds for the loading of it.
        loaded: whether it was loaded in time.
    """
    if loaded:
        said = f"the objective took longer than trial_timeout={timeout:g} s, and its process was killed"
        return failed(failure(TrialTimeoutError, said), timeout)
    return failed(
        failure(
            TrialTimeoutError,
            f"the objective was not loaded within {loading:g} s, and its process was killed: unpickling it,"
            " or importing one of its modules on this worker, hangs",
        )
    )


def pruned(seconds: float) -> trial_pb2.Outcome:
    """The outcome of an attempt that has stopped early, or was ended as it had not."""
    return trial_pb2.Outcome(kind=trial_pb2.OUTCOME_KIND_PRUNED, seconds=seconds)


def failed(why: trial_pb2.Failure, seconds: float = 0.0) -> trial_pb2.Outcome:
    """The outcome of an attempt that has failed."""
    return trial_pb2.Outcome(kind=trial_pb2.OUTCOME_KIND_FAILED, failure=why, seconds=seconds)


def failure(kind: type[TrialError], message: str) -> trial_pb2.Failure:
    """A failure that is not an exception of the objective."""
    return trial_pb2.Failure(type=f"{kind.__module__}.{kind.__qualname__}", message=message)
