"""The core's shell on the driver.

    study thread                     coordinator thread, one asyncio loop
    ┌──────────────┐  submit        ┌─────────────────────────────────────────────────────────┐
    │ StudyChannel │ ─────────────▶ │ Coordinator ── event ──▶ core.Machine ──▶ commands      │
    │  (inbox)     │ ◀───────────── │     ▲  │                                                │
    └──────────────┘  settled       │     │  ▼                                                │ gRPC
                                    │ WorkerService: a WorkerStream for each worker  ◀────────┼──────▶ workers
                                    └─────────────────────────────────────────────────────────┘

    coordinator.py    owns the machine, the clock and the thread; carries commands out
    channel.py        a study's thread-safe way in and out
    service.py        WorkerService: messages to events, commands to messages
    clock.py          time as it passes for a driver that may be stopped
    studies.py        the studies: what they have submitted, and who is told of it
    observer.py       who looks at the pool from outside
    untaken.py        reports that lie in a study's inbox
    requests.py       requests that wait for their replies, and replies that may have to be sent again
    blobs.py          what travels in chunks: objectives, large arguments, large results
    serving.py        WorkerService, listening
    server.py         the server of one service, and what callers pass on their way in:
    connections.py    those that no right token has come over are closed; found by sockets.py
    authentication.py the token on every call
    calls.py          what every call has to observe; service_limits.py, what may differ
    peers.py          how many streams and calls a peer may have, and how often it may fail
    pieces.py         work that grows with a request
    identities.py     which worker is which
    certificates.py   the pool's certificate, for when workers are not on this host

It knows the core and the wire; it does not know Spark, hyperopt or MLflow.
"""

from sparkopt.coordinator.channel import (
    Crowding,
    Payload,
    Points,
    Recorder,
    Reported,
    Request,
    Settled,
    Started,
    Stop,
    StudyChannel,
)
from sparkopt.coordinator.coordinator import Coordinator

__all__ = [
    "Coordinator",
    "Crowding",
    "Payload",
    "Points",
    "Recorder",
    "Reported",
    "Request",
    "Settled",
    "Started",
    "Stop",
    "StudyChannel",
]
