"""A search that another process steers: it stops a trial, gives a point of its own, and stops the search.

    python examples/steering.py

A pool that is open to control has an address and a token. Whoever has both can steer it, from this machine
or, with TLS, from another one. A shell has the same: `sparkopt watch`, `cancel`, `submit` and `stop`.
"""

import multiprocessing
import time

from hyperopt import hp, tpe

import sparkopt
from sparkopt import Control, SparkTrials, WorkerPool, fmin
from sparkopt.client import ControlClient, EventKind


def objective(x):
    """Train for a while: a trial stops between two epochs when somebody cancels it as pruned."""
    for epoch in range(10):
        time.sleep(0.1)
        sparkopt.report((x - 1) ** 2 + 1 / (1 + epoch))
    return (x - 1) ** 2


def steer(address, token):
    """Steer the search: this runs in a process that has neither Spark nor the search."""
    with ControlClient(address, token=token) as client:
        settled, given = 0, []
        for event in client.watch():
            if event.kind is EventKind.STARTED and not given:
                print(f"trial {event.trial.tid} runs on {event.trial.worker}: it is told to stop")
                client.cancel_trial(event.trial.tid, prune=True)
                given = client.submit([{"x": 1.0}])
                print("a point of ours comes next: x = 1")
            elif event.kind is EventKind.SETTLED:
                settled += 1
                if event.trial.tid in given:
                    print(f"it has ended with a loss of {event.trial.loss}")
                    client.stop()  # what runs is cancelled, what has finished is kept
                    break
        print(f"{settled} trials had ended when the search was stopped")


def main():
    """Search, and start the process that steers."""
    with WorkerPool(parallelism=2, control=Control()) as pool:
        context = multiprocessing.get_context("spawn")  # a fork of a driver can use neither Spark nor gRPC
        other = context.Process(target=steer, args=(pool.control_address, pool.control_token))
        other.start()
        trials = SparkTrials(pool=pool, tracking=False)
        fmin(
            objective,
            hp.uniform("x", -5, 5),
            algo=tpe.suggest,
            max_evals=1000,
            trials=trials,
            show_progressbar=False,
        )
        other.join()
    print(f"pruned: {trials.count_pruned_trials()}, best: {trials.best_params}")


if __name__ == "__main__":
    main()
