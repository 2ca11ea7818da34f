"""A control service from Python; needs grpc and protobuf, and nothing of Spark or hyperopt.

    ControlClient ──▶ ControlChannel ──▶ gRPC   a channel, the token, deadlines, errors
      ├─ watch() ──▶ Watch                    events, each once, over as many connections as it takes
      ├─ evaluation() ──▶ EvaluationStream    points in, outcomes out, over as many connections as it takes
      └─ evaluate() ──▶ Evaluations           the same from an iterable of points to an iterator of outcomes

    views.py        what comes out: plain frozen values
    conversion.py   the service's messages to these
    backoff.py      whether, when and how long a lost connection is tried again

A Watch and an EvaluationStream outlive their connections. They know the number of the last event, or the
points without an answer; a new call begins with that, and the service does the rest, as it keeps events
by their numbers and outcomes by the client's ids. Points are pulled from the caller's iterable in the
caller's thread, one for each outcome that the caller has taken: a generator that asks an algorithm for
the next point knows all outcomes by then.

What the service refuses is raised as the :class:`~sparkopt.errors.ControlError` that the service raised.
"""

from sparkopt.client.client import ControlClient
from sparkopt.client.evaluating import Evaluations
from sparkopt.client.event_watch import Watch
from sparkopt.client.stream import EvaluationStream
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
    WorkerInfo,
    WorkerState,
)

__all__ = [
    "ControlClient",
    "Direction",
    "Evaluation",
    "EvaluationStream",
    "Evaluations",
    "Event",
    "EventKind",
    "Failure",
    "Hyperparameter",
    "HyperparameterKind",
    "IntermediateValue",
    "PoolStatus",
    "Report",
    "Story",
    "StoryLine",
    "StudyInfo",
    "StudyKind",
    "TrialCounts",
    "TrialInfo",
    "TrialState",
    "Watch",
    "WorkerInfo",
    "WorkerState",
]
