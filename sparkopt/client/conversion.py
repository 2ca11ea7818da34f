"""Conversion of the service's messages to the values of views.py, and back."""

from __future__ import annotations

import datetime
import json
from collections.abc import Mapping
from typing import Any, Final, Literal, TypeVar

from google.protobuf import struct_pb2, timestamp_pb2

from sparkopt.client.views import (
    Direction,
    Evaluation,
    Event,
    EventKind,
    Failure,
    Hyperparameter,
    HyperparameterKind,
    IntermediateValue,
    PoolStatus,
    Report,
    Story,
    StoryLine,
    StudyInfo,
    StudyKind,
    TrialCounts,
    TrialInfo,
    TrialState,
    Word,
    WorkerInfo,
    WorkerState,
)
from sparkopt.errors import RefusedError
from sparkopt.wire.v1 import control_pb2

_BOUNDS: Final[tuple[Literal["low", "high", "step"], ...]] = ("low", "high", "step")

_EXACT: Final = 2**53
"""Up to here each whole number is a double."""


def to_status(message: control_pb2.PoolStatus) -> PoolStatus:
    """The value of a message."""
    return PoolStatus(
        pool=message.pool,
        version=message.version,
        opened=_time(message, "opened"),
        parallelism=message.parallelism,
        max_parallelism=message.max_parallelism,
        paused=message.paused,
        workers=message.workers,
        trials=_counts(message.trials),
        idle_share=message.idle_share,
        trials_per_second=message.trials_per_second,
        last_event=message.last_event,
        studies=tuple(to_study(study) for study in message.studies),
    )


def to_study(message: control_pb2.Study) -> StudyInfo:
    """The value of a message."""
    return StudyInfo(
        name=message.name,
        kind=_word(StudyKind, control_pb2.StudyKind, "STUDY_KIND_", message.kind),
        opened=_time(message, "opened"),
        ended=_time(message, "ended"),
        trials=_counts(message.trials),
        best_loss=message.best_loss if message.HasField("best_loss") else None,
        best_tid=message.best_tid if message.HasField("best_tid") else None,
        directions=tuple(
            _word(Direction, control_pb2.Direction, "DIRECTION_", each) for each in message.directions
        ),
    )


def to_trial(message: control_pb2.Trial) -> TrialInfo:
    """The value of a message."""
    return TrialInfo(
        study=message.study,
        tid=message.tid,
        state=_word(TrialState, control_pb2.TrialState, "TRIAL_STATE_", message.state),
        values=_mapping(message.values),
        attempt=message.attempt,
        worker=message.worker,
        host=message.host,
        submitted=_time(message, "submitted"),
        started=_time(message, "started"),
        settled=_time(message, "settled"),
        seconds=message.seconds,
        loss=message.loss if message.HasField("loss") else None,
        reason=message.reason,
        request_id=message.request_id,
        objective_values=tuple(message.objective_values),
        intermediate_values=dict(
            zip(message.intermediate_values.steps, message.intermediate_values.values, strict=True)
        ),
    )


def to_worker(message: control_pb2.Worker) -> WorkerInfo:
    """The value of a message."""
    return WorkerInfo(
        name=message.name,
        state=_word(WorkerState, control_pb2.WorkerState, "WORKER_STATE_", message.state),
        host=message.host,
        pid=message.pid,
        gang=message.gang,
        generation=message.generation,
        joined=_time(message, "joined"),
        study=message.study,
        tid=message.tid if message.HasField("tid") else None,
        trials=message.trials,
        busy_seconds=message.busy_seconds,
        gpus=tuple(message.gpus),
    )


def to_hyperparameter(message: control_pb2.Hyperparameter) -> Hyperparameter:
    """The value of a message."""
    bounds = {name: getattr(message, name) if message.HasField(name) else None for name in _BOUNDS}
    return Hyperparameter(
        label=message.label,
        kind=_word(HyperparameterKind, control_pb2.HyperparameterKind, "HYPERPARAMETER_KIND_", message.kind),
        logarithmic=message.logarithmic,
        options=tuple(_plain(option) for option in message.options),
        **bounds,
    )


def to_event(sequence: int, message: control_pb2.Event) -> Event:
    """The value of a message, under its number."""
    body = message.WhichOneof("body")
    kind = EventKind.UNKNOWN if body is None else EventKind(body)
    about: dict[str, Any] = {}
    if body in ("study_opened", "study_ended"):
        about["study"] = to_study(getattr(message, body))
    elif body in ("submitted", "started", "requeued", "settled"):
        about["trial"] = to_trial(getattr(message, body))
    elif body in ("worker_joined", "worker_unreachable", "worker_returned"):
        about["worker"] = to_worker(getattr(message, body))
    elif body == "worker_left":
        about["worker"], about["reason"] = to_worker(message.worker_left.worker), message.worker_left.reason
    elif body == "reported":
        said = message.reported
        about["report"] = Report(said.study, said.tid, said.kind, said.name)
    elif body == "value":
        about["value"] = to_value(message.value)
    elif body == "limit_changed":
        about["parallelism"] = message.limit_changed.parallelism
    return Event(sequence, kind, _time(message, "time"), **about)


def to_value(message: control_pb2.IntermediateValue) -> IntermediateValue:
    """The value of a message."""
    return IntermediateValue(message.study, message.tid, message.attempt, message.step, message.value)


def to_story(message: control_pb2.Story) -> Story:
    """The value of a message."""
    return Story(
        study=message.study,
        tid=message.tid if message.HasField("tid") else None,
        worker=message.worker,
        lines=tuple(StoryLine(_time(line, "time"), line.text, line.command) for line in message.lines),
        since=_time(message, "since"),
        left_out=message.left_out,
    )


def to_evaluation(message: control_pb2.EvaluateResponse, point: Mapping[str, Any]) -> Evaluation:
    """The value of an answer to a point."""
    if message.WhichOneof("answer") == "rejected":
        rejected = message.rejected
        return Evaluation(message.id, point, None, rejected=rejected.reason, message=rejected.message)
    answer = message.evaluation
    failure = answer.failure if answer.HasField("failure") else None
    return Evaluation(
        id=message.id,
        point=point,
        trial=to_trial(answer.trial),
        result=json.loads(answer.result) if answer.result else None,
        failure=None if failure is None else Failure(failure.type, failure.message, failure.traceback),
    )


def from_state(state: TrialState | str) -> control_pb2.TrialState.ValueType:
    """A state for a filter.

    Raises:
        ValueError: if there is none of that name.
    """
    if (known := TrialState(state)) is TrialState.UNKNOWN:
        raise ValueError("'unknown' is not a state of a trial")
    return control_pb2.TrialState.Value(f"TRIAL_STATE_{known.name}")


def from_point(point: Mapping[str, Any]) -> control_pb2.Point:
    """A point on the wire.

    Raises:
        RefusedError: if JSON cannot say it.
    """
    if not isinstance(point, Mapping):
        raise RefusedError(f"a point must be a mapping of labels to values, got {point!r}")
    try:
        return control_pb2.Point(json=json.dumps(dict(point), allow_nan=False, default=_for_json))
    except (TypeError, ValueError) as error:
        raise RefusedError(f"the point {point!r} cannot be sent as JSON: {error}") from error
    except RecursionError:
        raise RefusedError("the point cannot be sent as JSON: it is nested too deeply") from None


def _for_json(value: Any) -> Any:
    """Returns what stands for a value that the JSON module does not know: numpy's scalars and arrays."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"{value!r} of type {type(value).__name__} is not a number, text, list or mapping")


def _counts(message: control_pb2.TrialCounts) -> TrialCounts:
    return TrialCounts(
        message.submitted,
        message.pending,
        message.leased,
        message.ok,
        message.failed,
        message.cancelled,
        message.lost,
        message.pruned,
    )


def _time(message: Any, field: str) -> datetime.datetime | None:
    if not message.HasField(field):
        return None
    stamp: timestamp_pb2.Timestamp = getattr(message, field)
    return stamp.ToDatetime(tzinfo=datetime.timezone.utc)


W = TypeVar("W", bound=Word)


def _word(words: type[W], names: Any, prefix: str, number: int) -> W:
    """The word for a number of an enum of the proto's."""
    try:
        return words[names.Name(number).removeprefix(prefix)]
    except (KeyError, ValueError):
        return words["UNKNOWN"]


def _mapping(struct: struct_pb2.Struct) -> dict[str, Any]:
    # Sorted: protobuf has them in an order of its own, another one each time.
    return {label: _plain(value) for label, value in sorted(struct.fields.items())}


def _plain(value: struct_pb2.Value) -> Any:
    kind = value.WhichOneof("kind")
    if kind == "number_value":
        number = value.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "struct_value":
        return _mapping(value.struct_value)
    if kind == "list_value":
        return [_plain(part) for part in value.list_value.values]
    return None if kind in (None, "null_value") else getattr(value, kind)
