"""Peers that take turns on one session."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.peers.peer import Peer, Search
from benchmarks.statistics import in_rounds


def turns(contestants: Sequence[Peer], number: int, first: Search) -> Iterator[tuple[int, Peer]]:
    """Everybody's turns: the round, and whose turn it is. Whoever's turn it is is warm.

    Args:
        contestants: who takes part.
        number: of rounds, whose order is drawn anew each time.
        first: a small search, which everybody has had before the first turn that counts, and after whatever
            had to be started for it.
    """
    warm: set[str] = set()
    for each, peer in in_rounds(contestants, number):
        with peer.opened(first.parallelism):
            if peer.starts or peer.name not in warm:
                peer.run(first)
                warm.add(peer.name)
            yield each, peer
