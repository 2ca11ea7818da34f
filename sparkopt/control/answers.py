"""What became of a trial, as an answer to who asked for it."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Final

from google.protobuf.timestamp_pb2 import Timestamp

from sparkopt.core.states import Outcome
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.control.kept import Point
    from sparkopt.coordinator import Settled

_STATES: Final = {
    Outcome.OK: control_pb2.TRIAL_STATE_OK,
    Outcome.FAILED: control_pb2.TRIAL_STATE_FAILED,
    Outcome.CANCELLED: control_pb2.TRIAL_STATE_CANCELLED,
    Outcome.LOST: control_pb2.TRIAL_STATE_LOST,
}


def answer_of(study: str, point: Point, settled: Settled) -> control_pb2.EvaluateResponse:
    """The answer to a point whose trial has settled; a result in a file is left out."""
    trial = control_pb2.Trial(
        study=study,
        tid=settled.tid,
        state=_STATES[settled.outcome],
        values=point.struct,
        attempt=settled.attempt,
        worker=settled.worker or "",
        host=settled.host,
        submitted=_timestamp(point.submitted),
        settled=_timestamp(time.time()),
        seconds=settled.seconds,
        loss=settled.loss,
        reason=settled.reason,
        request_id=point.id,
    )
    if point.started:
        trial.started.CopyFrom(_timestamp(point.started))
    evaluation = control_pb2.Evaluation(trial=trial)
    if settled.result is not None and isinstance(settled.result.body, bytes):
        evaluation.result = settled.result.body.decode("ascii", "replace")
    if settled.failure is not None:
        failure = settled.failure
        evaluation.failure.type = failure.type
        evaluation.failure.message = failure.message
        evaluation.failure.traceback = failure.traceback
        trial.reason = f"{failure.type}: {failure.message}".splitlines()[0]
    return control_pb2.EvaluateResponse(id=point.id, evaluation=evaluation)


def _timestamp(seconds: float) -> Timestamp:
    rest, whole = math.modf(seconds)
    return Timestamp(seconds=int(whole), nanos=int(rest * 1e9))
