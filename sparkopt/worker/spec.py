"""What a worker is told at its birth. Travels in Spark's task closure."""

from __future__ import annotations

from dataclasses import dataclass, field

from sparkopt.wire.limits import HEARTBEAT_SECONDS


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the coordinator listens.

    Attributes:
        address: ``host:port``.
        token: what every call must carry.
        certificate: the pool's certificate, PEM; None on loopback, where there is no TLS.
    """

    address: str
    token: str = field(repr=False)
    certificate: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """A gang's worker, but for its slot.

    Attributes:
        endpoint: where the coordinator listens.
        gang: the number of its gang.
        generation: how many times that gang has been launched.
        heartbeat: seconds between heartbeats.
        grace: seconds without contact after which the worker gives up.
    """

    endpoint: Endpoint
    gang: int
    generation: int
    heartbeat: float = HEARTBEAT_SECONDS
    grace: float = 30.0

    def name(self, slot: int) -> str:
        """The worker's name, unique for its life."""
        return f"gang{self.gang}.{self.generation}/worker{slot}"
