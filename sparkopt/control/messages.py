"""Records as messages: made when somebody asks, or is sent an event."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Final

from google.protobuf.timestamp_pb2 import Timestamp

from sparkopt.control.values import struct_of
from sparkopt.core.states import Outcome, TrialKey, TrialState, WorkerState
from sparkopt.wire.limits import TEXT_CHARACTERS
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.control.book import Book
    from sparkopt.control.book_records import Attempt, StudyRecord, TrialRecord, WorkerRecord
    from sparkopt.control.feed import FeedEntry
    from sparkopt.control.newest_values import NewestValue
    from sparkopt.core.machine import Machine

STATES: Final = {
    TrialState.PENDING: control_pb2.TRIAL_STATE_PENDING,
    TrialState.HELD: control_pb2.TRIAL_STATE_PENDING,
    TrialState.LEASED: control_pb2.TRIAL_STATE_LEASED,
    TrialState.PRUNING: control_pb2.TRIAL_STATE_PRUNING,
    TrialState.CANCELLING: control_pb2.TRIAL_STATE_CANCELLING,
    Outcome.OK: control_pb2.TRIAL_STATE_OK,
    Outcome.FAILED: control_pb2.TRIAL_STATE_FAILED,
    Outcome.PRUNED: control_pb2.TRIAL_STATE_PRUNED,
    Outcome.CANCELLED: control_pb2.TRIAL_STATE_CANCELLED,
    Outcome.LOST: control_pb2.TRIAL_STATE_LOST,
}
"""A trial's state as it is told outside."""

DIRECTIONS: Final = {
    "minimize": control_pb2.DIRECTION_MINIMIZE,
    "maximize": control_pb2.DIRECTION_MAXIMIZE,
}

_KINDS: Final = {
    "float": control_pb2.HYPERPARAMETER_KIND_FLOAT,
    "int": control_pb2.HYPERPARAMETER_KIND_INT,
    "choice": control_pb2.HYPERPARAMETER_KIND_CHOICE,
}

UNSETTLED: Final = frozenset({STATES[state] for state in TrialState if state in STATES})
"""States that are not final."""


def line_of(text: str) -> str:
    """First line of a text, from as much of the text as messages hold."""
    lines = text[:TEXT_CHARACTERS].splitlines()
    return lines[0] if lines else ""


def set_timestamp(timestamp: Timestamp, seconds: float) -> None:
    """Set a timestamp to a time in seconds since the epoch."""
    rest, whole = math.modf(seconds)
    timestamp.seconds, timestamp.nanos = int(whole), int(rest * 1e9)


# What there is.


def trial_of(book: Book, trial: TrialRecord, values: bool = False) -> control_pb2.Trial:
    """A trial as it is now.

    Args:
        book: which it is in.
        trial: its record.
        values: whether to add its intermediate values.
    """
    message = control_pb2.Trial()
    _fill_trial(message, trial)
    message.state = STATES[book.state_of(trial)]
    if trial.attempt is not None:
        _fill_attempt(message, trial.attempt)
    if trial.outcome is not None:
        _fill_settlement(message, trial)
    if values and (series := book.intermediate_values(trial)) is not None:
        message.intermediate_values.steps.extend(series.steps)
        message.intermediate_values.values.extend(series.values)
    return message


def study_of(book: Book, study: StudyRecord) -> control_pb2.Study:
    """A study as it is now."""
    message = control_pb2.Study(
        name=study.name,
        kind=control_pb2.STUDY_KIND_SEARCH if study.is_search else control_pb2.STUDY_KIND_EVALUATION,
        trials=_counts(len(study.trials), book.leased_of(study.name), study.outcomes),
    )
    set_timestamp(message.opened, study.opened)
    if study.ended is not None:
        set_timestamp(message.ended, study.ended)
    message.directions.extend(study.about.directions)
    if study.best is not None and study.best.loss is not None:
        message.best_loss, message.best_tid = study.best.loss, study.best.tid
    return message


def status_of(book: Book, machine: Machine, version: str, last_event: int) -> control_pb2.PoolStatus:
    """The pool as it is now."""
    message = control_pb2.PoolStatus(
        pool=book.pool,
        version=version,
        parallelism=machine.limit,
        max_parallelism=book.max_parallelism,
        paused=machine.paused,
        workers=book.reachable_workers(),
        trials=_counts(machine.submitted, machine.leased, book.outcomes()),
        idle_share=book.idle_share(),
        trials_per_second=book.trials_per_second(),
        last_event=last_event,
        studies=[study_of(book, study) for study in book.studies.values()],
    )
    set_timestamp(message.opened, book.opened)
    return message


def space_of(study: str, space: Sequence[Mapping[str, Any]]) -> control_pb2.Space:
    """Hyperparameters of a study, from their descriptions.

    Args:
        study: its name.
        space: see :meth:`~sparkopt.control.server.ControlServer.describe_study`.
    """
    return control_pb2.Space(
        study=study,
        hyperparameters=[
            control_pb2.Hyperparameter(
                label=each["label"],
                kind=_KINDS[each["kind"]],
                low=each["low"],
                high=each["high"],
                step=each["step"],
                logarithmic=each["logarithmic"],
                options=struct_of({"options": each["options"]}).fields["options"].list_value.values,
            )
            for each in space
        ],
    )


def worker_of(book: Book, worker: WorkerRecord) -> control_pb2.Worker:
    """A worker as it is now, or was when it left."""
    hello = worker.hello
    message = control_pb2.Worker(
        name=hello.worker,
        state=_worker_state(book, worker),
        host=hello.host,
        pid=hello.pid,
        gang=hello.gang,
        generation=hello.generation,
        trials=worker.trials,
        busy_seconds=worker.busy_by(time.monotonic()),
        gpus=hello.gpus,
    )
    set_timestamp(message.joined, worker.joined)
    if worker.lease is not None:
        message.study, message.tid = worker.lease.trial
    return message


def _worker_state(book: Book, worker: WorkerRecord) -> control_pb2.WorkerState.ValueType:
    known = book.known_worker(worker)
    if known is None:
        return control_pb2.WORKER_STATE_GONE
    if known.state is not WorkerState.READY:
        return control_pb2.WORKER_STATE_UNREACHABLE
    if known.draining is not None:
        return control_pb2.WORKER_STATE_DRAINING
    return control_pb2.WORKER_STATE_IDLE if known.lease is None else control_pb2.WORKER_STATE_BUSY


def _counts(submitted: int, leased: int, outcomes: Mapping[Outcome, int]) -> control_pb2.TrialCounts:
    settled = {outcome.value: outcomes.get(outcome, 0) for outcome in Outcome}
    pending = submitted - leased - sum(settled.values())
    return control_pb2.TrialCounts(submitted=submitted, pending=pending, leased=leased, **settled)


# What has happened: with what was so then.


def event_of(happened: FeedEntry) -> control_pb2.Event:
    """An event as a message."""
    event = control_pb2.Event()
    set_timestamp(event.time, happened.time)
    happened.fill(event)
    return event


def fill_submitted(trial: TrialRecord, event: control_pb2.Event) -> None:
    """A trial was submitted."""
    _fill_trial(event.submitted, trial)
    event.submitted.state = control_pb2.TRIAL_STATE_PENDING


def fill_started(trial: TrialRecord, attempt: Attempt, event: control_pb2.Event) -> None:
    """An attempt was sent to a worker."""
    _fill_trial(event.started, trial)
    event.started.state = control_pb2.TRIAL_STATE_LEASED
    _fill_attempt(event.started, attempt)


def fill_requeued(trial: TrialRecord, attempt: Attempt, event: control_pb2.Event) -> None:
    """An attempt was lost, and its trial waits for another worker."""
    _fill_trial(event.requeued, trial)
    event.requeued.state = control_pb2.TRIAL_STATE_PENDING
    _fill_attempt(event.requeued, attempt)


def fill_settled(trial: TrialRecord, event: control_pb2.Event) -> None:
    """A trial has its final state."""
    message = event.settled
    _fill_trial(message, trial)
    if trial.attempt is not None:
        _fill_attempt(message, trial.attempt)
    _fill_settlement(message, trial)


def fill_reported(key: TrialKey, kind: ReportKind, name: str, event: control_pb2.Event) -> None:
    """A trial that runs has said something."""
    reported = event.reported
    reported.study, reported.tid, reported.kind, reported.name = key.study, key.tid, kind.value, name


def fill_value(key: TrialKey, newest: NewestValue, event: control_pb2.Event) -> None:
    """A trial that runs has reported an intermediate value."""
    fill_intermediate(key, newest, event.value)


def fill_intermediate(key: TrialKey, newest: NewestValue, message: control_pb2.IntermediateValue) -> None:
    """An intermediate value as a message."""
    message.study, message.tid, message.attempt = key.study, key.tid, newest.attempt
    message.step, message.value = newest.step, newest.value


def _fill_trial(message: control_pb2.Trial, trial: TrialRecord) -> None:
    message.study, message.tid, message.request_id = trial.study.name, trial.tid, trial.request_id
    if isinstance(trial.values, bytes):
        message.values.MergeFromString(trial.values)
    else:
        message.values.CopyFrom(struct_of(proposed(trial.values)))
    set_timestamp(message.submitted, trial.submitted)


def _fill_attempt(message: control_pb2.Trial, attempt: Attempt) -> None:
    message.attempt = attempt.number
    message.worker, message.host = attempt.worker.hello.worker, attempt.worker.hello.host
    set_timestamp(message.started, attempt.started)


def _fill_settlement(message: control_pb2.Trial, trial: TrialRecord) -> None:
    assert trial.outcome is not None
    message.state = STATES[trial.outcome]
    message.seconds, message.reason = trial.seconds, trial.reason
    set_timestamp(message.settled, trial.settled)
    if trial.loss is not None:
        message.loss = trial.loss
    message.objective_values.extend(trial.objective_values)


def proposed(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values by label, as far as a message can hold them."""
    return {label: _plain(value) for label, value in values.items()}


def _plain(value: Any) -> Any:
    """Value as a message can hold it, whatever algorithm proposed it."""
    if value is None or isinstance(value, (bool, str, Real)):
        return value
    if not isinstance(value, type) and callable(getattr(value, "tolist", None)):
        return _plain(value.tolist())
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return str(value)
