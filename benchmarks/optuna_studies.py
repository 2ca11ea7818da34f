"""Cost of a trial of an Optuna study beside its objective, with random search and with TPE.

The objective suggests one number and returns it. Sparkopt, Optuna alone and Optuna's threads take turns; each
search begins with a new study in memory. A sampler's own time is that of Optuna alone, one trial after
another in one process: what a search takes beyond it is dispatch. Sparkopt's workers are there already, in a
pool: how long they take to come is what the question ``startup`` tells. MlflowSparkStudy, whose trials take a
thousand times as long, is given fewer of them.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

import click

import sparkopt
from benchmarks.objectives import no_op
from benchmarks.peers import PEERS, Peer, Search, local_session, title_of
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.statistics import Spread
from benchmarks.tables import Table, spread_cells

LIMIT: Final = 2.0
"""Milliseconds a trial beyond those of Optuna alone."""

TRIALS: Final = 1_000

_SAMPLERS: Final = {"random": "RandomSampler", "TPE": "TPESampler"}
_OURS: Final = "sparkopt.optuna"
_ALONE: Final = "Optuna alone, serial"


def _objective(trial: Any) -> float:
    return float(trial.suggest_float("x", -1.0, 1.0))


def _finished(study: Any) -> int:
    return sum(trial.value is not None for trial in study.get_trials(deepcopy=False))


def _ours(pool: sparkopt.WorkerPool, search: Search) -> int:
    from optuna import create_study

    study = create_study(sampler=search.sampler)
    sparkopt.optuna.optimize(study, _objective, search.trials, pool=pool, tracking=False)
    return _finished(study)


def _threads(search: Search) -> int:
    from optuna import create_study

    study = create_study(sampler=search.sampler)
    study.optimize(_objective, search.trials, n_jobs=search.parallelism)
    return _finished(study)


def _alone(search: Search) -> int:
    from optuna import create_study

    study = create_study(sampler=search.sampler)
    study.optimize(_objective, search.trials)
    return _finished(study)


def _run(peer: Peer, search: Search) -> int:
    peer.run(search)
    return search.trials  # it has checked that


_RUNNERS: Final[Mapping[str, Callable[[Search], int]]] = {
    _ALONE: _alone,
    "Optuna's threads (n_jobs)": _threads,
}


def _tables(record: Record) -> list[Table]:
    sizes = record.figures["trials"]
    rows = [
        (_title(name), sampler, f"{sizes[name]:,}", *spread_cells(Spread.of(values)))
        for name, by_sampler in record.figures["ms_per_trial"].items()
        for sampler, values in by_sampler.items()
    ]
    settings = record.settings
    title = f"optuna: no-op objective, parallelism {settings['parallelism']}"
    return [Table(title, ("", "sampler", "trials", "ms a trial, median", "min", "max"), rows)]


def _title(name: str) -> str:
    return title_of(name) if name in PEERS else name


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    spent = figures["ms_per_trial"]
    limits = []
    for sampler in _SAMPLERS:
        beyond = None
        if settings["trials"] >= TRIALS:
            ours, alone = (Spread.of(spent[name][sampler]).median for name in (_OURS, _ALONE))
            beyond = ours - alone
        what = f"a trial with {sampler}, beyond Optuna alone, with {TRIALS:,} of them"
        limits.append(Limit(what, LIMIT, beyond, unit="ms"))
    return limits


@question(
    Form(
        "What does a trial of an Optuna study cost beside its objective?",
        _tables,
        _limits,
        suits=lambda peer: peer.optuna,
    )
)
@click.option("--trials", default=TRIALS, show_default=True, type=click.IntRange(min=1))
@click.option("--parallelism", default=4, show_default=True, type=click.IntRange(min=1))
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(min=1))
@click.option(
    "--baseline-trials",
    default=24,
    show_default=True,
    type=click.IntRange(min=1),
    help="For peers whose trials take longer.",
)
def optuna(trials: int, parallelism: int, rounds: int, baseline_trials: int, against: list[Peer]) -> Figures:
    """Milliseconds a trial, with an objective that does nothing."""
    from optuna import logging, samplers

    logging.set_verbosity(logging.ERROR)
    session = local_session(2 * parallelism)  # the peers' trials run beside the pool, which has nothing to do
    try:
        with sparkopt.WorkerPool(parallelism, spark_session=session) as pool:
            runners: dict[str, Callable[[Search], int]] = {_OURS: partial(_ours, pool), **_RUNNERS}
            runners |= {peer.name: partial(_run, peer) for peer in against}
            slow = {peer.name for peer in against if not peer.quick}
            sizes = {name: baseline_trials if name in slow else trials for name in runners}
            spent: dict[str, dict[str, list[float]]] = {
                name: {key: [] for key in _SAMPLERS} for name in runners
            }
            for seed in range(rounds + 1):
                for name, run in runners.items():
                    for key, kind in _SAMPLERS.items():
                        count = sizes[name] if seed else parallelism  # the first round warms up
                        sampler = getattr(samplers, kind)(seed=seed)
                        began = time.perf_counter()
                        finished = run(Search(count, parallelism, 1, session, seed, no_op, sampler=sampler))
                        seconds = time.perf_counter() - began
                        if finished != count:
                            raise AssertionError(f"{name}: {finished} of {count} trials have a result")
                        if seed:
                            spent[name][key].append(1000 * seconds / count)
    finally:
        session.stop()
    return {"ms_per_trial": spent, "trials": sizes}
