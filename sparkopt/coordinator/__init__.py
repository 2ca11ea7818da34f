"""Shell of the core on the driver: an actor, the transport that workers reach it by, and studies' channels.

    study thread                     coordinator thread, one asyncio loop
    ┌──────────────┐  submit        ┌─────────────────────────────────────────────────────────┐
    │ StudyChannel │ ─────────────▶ │ Coordinator ── event ──▶ core.Machine ──▶ commands      │
    │  (inbox)     │ ◀───────────── │     ▲  │                                                │
    └──────────────┘  settled       │     │  ▼                                                │ gRPC
                                    │ WorkerService: a WorkerStream for each worker  ◀────────┼──────▶ workers
                                    └─────────────────────────────────────────────────────────┘

    coordinator.py      the actor: owns the machine and the clock; carries commands out
    loop_thread.py      its thread and loop, and the way in for other threads
    arrivals.py         payloads of workers' messages while the machine decides on them
    running_attempts.py what running attempts say that is not for the machine
    clock.py            time as it passes for a driver that may be stopped
    attendance.py       workers that have said hello, and those that wait for another attempt of their task
    cpu_sharing.py      workers of a host that compute with more threads than it has cores
    task_watch.py       interface of the watch over Spark's tasks
    blobs.py            blobs, which travel in chunks: objectives, large arguments, large results
    observer.py         interface of the control service, which hears of everything that happens
    step_log.py         log of the machine's events and commands
    worker_service.py   WorkerService: messages to events, commands to messages
    serving.py          WorkerService, listening
    channels/           studies' way in and out: channels, inboxes, requests and their replies
    transport/          transport and trust: the server, certificates, identities, limits

It knows the core and the wire; it does not know Spark, hyperopt or MLflow.
"""

from sparkopt.coordinator.channels.channel import Recorder, StudyActions, StudyChannel
from sparkopt.coordinator.channels.external_requests import ExternalRequest, Points, Stop
from sparkopt.coordinator.channels.gathered_values import AttemptValues
from sparkopt.coordinator.channels.objective_spec import ObjectiveSpec
from sparkopt.coordinator.channels.payload import Payload
from sparkopt.coordinator.channels.study_events import (
    CpuOversubscription,
    Reported,
    ReportedValues,
    Request,
    Settled,
    Started,
)
from sparkopt.coordinator.coordinator import Coordinator

__all__ = [
    "AttemptValues",
    "Coordinator",
    "CpuOversubscription",
    "ExternalRequest",
    "ObjectiveSpec",
    "Payload",
    "Points",
    "Recorder",
    "Reported",
    "ReportedValues",
    "Request",
    "Settled",
    "Started",
    "Stop",
    "StudyActions",
    "StudyChannel",
]
