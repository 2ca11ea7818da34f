"""How long until the first trial runs, in a process of its own: ``python -m benchmarks.first_trial``.

A session is cold once only, so each measurement of that needs a new process. The session itself is made
before the clock starts. What comes out is JSON, on the last line.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable

import click
from hyperopt import rand

import sparkopt
from benchmarks.notes import notebook
from benchmarks.objectives import Noting
from benchmarks.peers import PEERS, SPACE, SPARKOPT, Search, local_session


def _seconds_to_first(search: Callable[[Noting], object]) -> float:
    """Seconds from the call of a search until its first trial runs."""
    with notebook() as notes:
        began = time.time()
        search(Noting(notes.place))
        return min(first for first, _ in notes.spans()) - began


@click.command()
@click.argument("name", type=click.Choice([SPARKOPT.name, *PEERS]))
@click.option("--parallelism", default=2, type=click.IntRange(min=1))
@click.option("--again", default=2, type=click.IntRange(min=0), help="Warm searches after the cold one.")
def main(name: str, parallelism: int, again: int) -> None:
    """Measure one peer, cold and warm, and sparkopt's second study on a pool."""
    peer = SPARKOPT if name == SPARKOPT.name else PEERS[name]
    session = local_session(parallelism)
    try:
        with peer.opened(parallelism):
            cold, *warm = (
                _seconds_to_first(
                    lambda objective, seed=number: peer.run(  # type: ignore[misc]
                        Search(parallelism, parallelism, 1, session, seed, objective)
                    )
                )
                for number in range(again + 1)
            )
        second = []
        if peer is SPARKOPT:
            warnings.simplefilter("ignore")
            with sparkopt.WorkerPool(parallelism, spark_session=session) as pool:

                def search(objective: Noting) -> None:
                    trials = sparkopt.SparkTrials(pool=pool, tracking=False)
                    sparkopt.fmin(objective, SPACE, rand.suggest, parallelism, trials=trials, verbose=False)

                _, *second = (_seconds_to_first(search) for _ in range(again + 1))
    finally:
        session.stop()
    print(json.dumps({"cold": cold, "warm": warm, "second": second}))


if __name__ == "__main__":
    main()
