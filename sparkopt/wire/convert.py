"""Messages to the core's words and back."""

from __future__ import annotations

from typing import Final

from sparkopt.core.states import Lease, Outcome, TrialKey
from sparkopt.errors import ProtocolError
from sparkopt.wire import lanes
from sparkopt.wire.lanes import Lane
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2

_KINDS: Final = {
    trial_pb2.OUTCOME_KIND_OK: Outcome.OK,
    trial_pb2.OUTCOME_KIND_FAILED: Outcome.FAILED,
    trial_pb2.OUTCOME_KIND_CANCELLED: Outcome.CANCELLED,
    trial_pb2.OUTCOME_KIND_PRUNED: Outcome.PRUNED,
}
"""What a worker may say of an attempt; that it was lost is for the coordinator to say."""

_REPORT_KINDS: Final = {
    trial_pb2.REPORT_KIND_CHECKPOINT: ReportKind.CHECKPOINT,
    trial_pb2.REPORT_KIND_ATTACHMENT: ReportKind.ATTACHMENT,
    trial_pb2.REPORT_KIND_DETACHMENT: ReportKind.DETACHMENT,
    trial_pb2.REPORT_KIND_INJECTION: ReportKind.INJECTION,
}


def to_attempt(lease: Lease) -> trial_pb2.Attempt:
    """The message that names a lease's attempt."""
    return trial_pb2.Attempt(study=lease.trial.study, tid=lease.trial.tid, attempt=lease.attempt)


def to_lease(attempt: trial_pb2.Attempt) -> Lease:
    """The lease that a message names.

    Raises:
        ProtocolError: if the message names none.
    """
    if not attempt.study or attempt.attempt < 1:
        raise ProtocolError(f"an attempt needs a study and a number from 1, got {attempt!r}")
    return Lease(TrialKey(attempt.study, attempt.tid), attempt.attempt)


def to_outcome(kind: trial_pb2.OutcomeKind.ValueType) -> Outcome:
    """Returns what a worker says of an attempt.

    Raises:
        ProtocolError: if a worker may not say that.
    """
    try:
        return _KINDS[kind]
    except KeyError:
        raise ProtocolError(f"a worker cannot report outcome kind {kind}") from None


def to_report_kind(kind: trial_pb2.ReportKind.ValueType) -> ReportKind:
    """Returns what a report is about.

    Raises:
        ProtocolError: if it is about nothing that we know.
    """
    try:
        return _REPORT_KINDS[kind]
    except KeyError:
        raise ProtocolError(f"there is no report of kind {kind}") from None


def to_lane(method: str) -> tuple[Lane, str]:
    """The lane of a request's method, and the method's name within the lane.

    Raises:
        ProtocolError: if it has no lane.
    """
    try:
        return lanes.split(method)
    except ValueError as error:
        raise ProtocolError(str(error)) from None


def from_report_kind(kind: ReportKind) -> trial_pb2.ReportKind.ValueType:
    """The same on the wire."""
    return next(number for number, known in _REPORT_KINDS.items() if known is kind)
