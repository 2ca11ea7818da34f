"""Payloads of workers' messages while the machine decides on them: it sees events without payloads.

    message ──▶ payload ──▶ Arrivals ◀── found again ── command ◀─┐
           └──▶ event ────────────────▶ core.Machine ─────────────┘

A payload is there from before the machine is told of its event until the commands that follow have been
carried out. A command finds the outcome of its trial's attempt, or the report or request with its number.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sparkopt.coordinator.channels.study_events import CpuOversubscription
from sparkopt.core.states import TrialKey
from sparkopt.wire.lanes import Lane
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.wire.v1 import trial_pb2


@dataclass(frozen=True, slots=True)
class ArrivedOutcome:
    """An outcome as its worker sent it.

    Attributes:
        attempt: the number of the attempt that has ended.
        message: what the worker says of it.
        host: where the worker runs.
        gpus: addresses of those that its trials see.
        oversubscription: set if the worker's host has too few cores for its workers' threads.
    """

    attempt: int
    message: trial_pb2.Outcome
    host: str
    gpus: tuple[str, ...]
    oversubscription: CpuOversubscription | None


@dataclass(frozen=True, slots=True)
class ArrivedReport:
    """A report as its worker sent it.

    Attributes:
        kind: what it is about.
        message: what the worker says.
    """

    kind: ReportKind
    message: trial_pb2.Report


@dataclass(frozen=True, slots=True)
class ArrivedRequest:
    """A request as its worker sent it.

    Attributes:
        lane: which party it is for.
        method: what is asked for, without the lane.
        message: what the worker says.
    """

    lane: Lane
    method: str
    message: trial_pb2.Request


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Payloads that are on their way through the machine. Used from the coordinator's loop.

    Attributes:
        outcomes: by their trials.
        reports: by the worker and the number of the message.
        requests: the same.
    """

    outcomes: dict[TrialKey, ArrivedOutcome] = field(default_factory=dict)
    reports: dict[tuple[str, int], ArrivedReport] = field(default_factory=dict)
    requests: dict[tuple[str, int], ArrivedRequest] = field(default_factory=dict)
