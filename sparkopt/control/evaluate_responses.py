"""The answer to a point of an Evaluate stream, made of its trial once that has settled."""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp

from sparkopt.control.messages import STATES, line_of
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.control.kept_answers import Point
    from sparkopt.coordinator import Settled


def answer_of(study: str, point: Point, settled: Settled) -> control_pb2.EvaluateResponse:
    """The answer to a point whose trial has settled; a result in a file is left out."""
    answer = control_pb2.EvaluateResponse(id=point.id)
    evaluation = answer.evaluation
    trial = evaluation.trial
    trial.study = study
    trial.tid = settled.tid
    trial.state = STATES[settled.outcome]
    trial.values.MergeFromString(point.struct)
    trial.attempt = settled.attempt
    trial.worker = settled.worker or ""
    trial.host = settled.host
    _set_timestamp(trial.submitted, point.submitted)
    if point.started:
        _set_timestamp(trial.started, point.started)
    _set_timestamp(trial.settled, time.time())
    trial.seconds = settled.seconds
    if settled.loss is not None:
        trial.loss = settled.loss
    trial.reason = settled.reason
    trial.request_id = point.id
    if settled.result is not None and isinstance(settled.result.body, bytes):
        evaluation.result = settled.result.body.decode("ascii", "replace")
    if settled.failure is not None:
        failure = settled.failure
        evaluation.failure.type = failure.type
        evaluation.failure.message = failure.message
        evaluation.failure.traceback = failure.traceback
        trial.reason = line_of(f"{failure.type}: {failure.message}")
    return answer


def _set_timestamp(timestamp: Timestamp, seconds: float) -> None:
    rest, whole = math.modf(seconds)
    timestamp.seconds, timestamp.nanos = int(whole), int(rest * 1e9)
