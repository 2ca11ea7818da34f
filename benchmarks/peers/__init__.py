"""What users could pick instead of sparkopt: a small adapter each, in a file each.

A peer that is not installed cannot take part; :meth:`~benchmarks.peers.peer.Peer.missing` says so. All of
them come with the extra ``bench``.
"""

from __future__ import annotations

from benchmarks.peers import (
    joblib_spark,
    mlflow_spark,
    optuna_alone,
    ray_actor,
    ray_tune,
    serial,
    sparktrials,
)
from benchmarks.peers.own import SPARKOPT, run_sparkopt
from benchmarks.peers.peer import SPACE, Peer, Ran, Search, local_session
from benchmarks.peers.turns import turns

__all__ = [
    "PEERS",
    "SPACE",
    "SPARKOPT",
    "Peer",
    "Ran",
    "Search",
    "local_session",
    "run_sparkopt",
    "title_of",
    "turns",
]

PEERS: dict[str, Peer] = {
    peer.name: peer
    for peer in (
        sparktrials.ONE_PROPOSAL,
        sparktrials.QUEUED,
        mlflow_spark.PEER,
        joblib_spark.PEER,
        ray_tune.FRESH_ACTORS,
        ray_tune.REUSED_ACTORS,
        ray_actor.PEER,
        optuna_alone.PEER,
        serial.PEER,
    )
}
"""By name, in the order in which they are shown."""


def title_of(name: str) -> str:
    """What tables say for a peer, or for sparkopt."""
    return SPARKOPT.title if name == SPARKOPT.name else PEERS[name].title
