"""How good a parallel search is next to a serial one: the best losses of many seeds on a few problems.

    python tests/hyperopt/compat/quality.py

prints a table to standard error and everything that it is made of, as JSON, to standard output. Four kinds
of searches, all with the same seeds:

serial      hyperopt's own fmin with TPE
parallel    sparkopt's fmin with TPE on four workers, where an algorithm knows three results less at any time
random      random search: what is left if the algorithm is ignored
repeated    serial, with a quarter of the trials: what is left if four workers try the same point

A search is judged by its best loss. ``behind`` is the chance that a serial search of a problem ends with a
better loss than one of another kind, draws counted as half (Mann and Whitney's statistic, as a share): 0.5 if
the two are as good as each other, 1 if serial always wins.
"""

from __future__ import annotations

import json
import statistics
import sys

import cloudpickle
import hyperopt
import numpy as np
from hyperopt import rand, tpe
from rich.console import Console
from rich.table import Table

import sparkopt
from sparkopt.spark.session import get_session
from tests.hyperopt.compat import domains

PROBLEMS = ("quadratic", "two_quadratics", "gauss_wave", "branin")
"""Those of the classic problems on which TPE is better than chance after so few trials, and is quick."""

KINDS = ("serial", "parallel", "random", "repeated")
SEEDS = range(20)
TRIALS = 60
WORKERS = 4

cloudpickle.register_pickle_by_value(domains)


def best_losses(problem, fmin, algo, new_trials, count=TRIALS):
    """The best loss of a search for each seed."""
    found = []
    for seed in SEEDS:
        trials = new_trials()
        fmin(
            problem.loss,
            problem.space,
            algo,
            max_evals=count,
            trials=trials,
            rstate=np.random.default_rng(seed),
            verbose=False,
        )
        found.append(min(trials.losses()))
    return found


def measure(session, problem):
    """The best losses of every kind of search on a problem."""

    def on_spark():
        return sparkopt.SparkTrials(WORKERS, spark_session=session)

    fmin, alone = hyperopt.fmin, hyperopt.Trials
    return {
        "serial": best_losses(problem, fmin, tpe.suggest, alone),
        "parallel": best_losses(problem, sparkopt.fmin, tpe.suggest, on_spark),
        "random": best_losses(problem, fmin, rand.suggest, alone),
        "repeated": best_losses(problem, fmin, tpe.suggest, alone, TRIALS // WORKERS),
    }


def behind(losses, serial):
    """The chance that a serial search ends better; draws count as half."""
    one, other = np.array(losses)[:, None], np.array(serial)
    return float(np.mean((other < one) + (other == one) / 2))


def mean_behind(measured, kind):
    """How far a kind of searches is behind, on average over the problems."""
    return statistics.mean(behind(kinds[kind], kinds["serial"]) for kinds in measured.values())


def table(measured):
    """The medians, and how far each kind is behind on average."""
    drawn = Table("problem", *KINDS, title=f"median best loss of {len(SEEDS)} seeds, {TRIALS} trials")
    for name, kinds in measured.items():
        drawn.add_row(name, *(f"{statistics.median(kinds[kind]):.4f}" for kind in KINDS))
    drawn.add_section()
    shares = [
        statistics.mean(behind(each[kind], each["serial"]) for each in measured.values()) for kind in KINDS
    ]
    drawn.add_row("behind", *(f"{share:.3f}" for share in shares))
    return drawn


def main():
    """Measure, and print both."""
    settings = {"spark.master": f"local[{WORKERS}]", "spark.ui.enabled": "false"}
    session = get_session(settings=settings)
    session.sparkContext.setLogLevel("OFF")
    measured = {name: measure(session, domains.PROBLEMS[name]) for name in PROBLEMS}
    session.stop()
    Console(stderr=True, width=100).print(table(measured))
    sys.stdout.write(json.dumps(measured))


if __name__ == "__main__":
    main()
