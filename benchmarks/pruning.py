"""Work that pruning saves, and what it costs a search. Ours, Optuna's and Ray Tune's on learning curves.

A search is played on recorded curves (learning_curves.py), on a virtual clock: eight workers take trials in
an order that is drawn from the seed, each step of a trial takes about as long as any other, and each value is
reported at its step. So every rule sees the same trials in the same order, and no model is trained.

    work   steps that were run, as a share of those of all trials to their end
    best   the least loss of the trials that ran to their end, relative to the least of all
"""

from __future__ import annotations

import heapq
import random
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from statistics import mean, median
from types import SimpleNamespace
from typing import Any, Final, Protocol

import click

from benchmarks.learning_curves import KINDS, Curves, load
from benchmarks.question import Figures, Form, Settings, question
from benchmarks.record import Limit, Record
from benchmarks.tables import Table
from sparkopt import ASHA, Hyperband, MedianStopping, PercentileStopping
from sparkopt.core.states import Outcome

WORKERS: Final = 8
SAME: Final = 0.01
"""So much worse a best loss still counts as the same."""

NINTH: Final = "ASHA from a ninth"
MEDIAN: Final = "median after a third"

_LIMITS: Final = {NINTH: 0.35, MEDIAN: 0.60}
"""Shares of the work that rules may need on digits, with the same best loss on the average of the seeds."""


class Judge(Protocol):
    """A pruner of ours or of Optuna's, as a played search asks it."""

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Tell if a trial is to stop."""

    def settled(self, tid: int, outcome: Outcome) -> None:
        """A trial has ended."""


class Never:
    """Stops nothing."""

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Say no."""
        return False

    def settled(self, tid: int, outcome: Outcome) -> None:
        """Learn nothing."""


class OptunasJudge:
    """A pruner of Optuna's, in a study whose trials report as ours do.

    Args:
        pruner: of Optuna's.
    """

    def __init__(self, pruner: Any) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._states = {
            Outcome.OK: optuna.trial.TrialState.COMPLETE,
            Outcome.PRUNED: optuna.trial.TrialState.PRUNED,
        }
        sampler = optuna.samplers.RandomSampler(0)
        # Its Hyperband has a trial's bracket follow from the name.
        self._study = optuna.create_study(study_name="played", pruner=pruner, sampler=sampler)
        self._trials: dict[int, Any] = {}

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Report, and ask."""
        if tid not in self._trials:
            self._trials[tid] = self._study.ask()
        trial = self._trials[tid]
        trial.report(value, step)
        return bool(trial.should_prune())

    def settled(self, tid: int, outcome: Outcome) -> None:
        """Tell how a trial has ended."""
        value = 0.0 if outcome is Outcome.OK else None
        self._study.tell(self._trials[tid], value, state=self._states[outcome])


@dataclass(frozen=True, slots=True)
class _RaysTrial:
    """A trial, as far as Ray Tune's schedulers look at it."""

    trial_id: str


class RaysJudge:
    """A scheduler of Ray Tune's, whose trials report as ours do. It runs without Ray's processes.

    Args:
        scheduler: of Ray Tune's.
    """

    def __init__(self, scheduler: Any) -> None:
        self._scheduler = scheduler
        self._controller = SimpleNamespace(get_live_trials=list)
        self._trials: dict[int, _RaysTrial] = {}

    def reported(self, tid: int, step: int, value: float) -> bool:
        """Give the scheduler a result, and see what it says."""
        trial = self._trials.get(tid)
        if trial is None:
            trial = self._trials[tid] = _RaysTrial(str(tid))
            self._scheduler.on_trial_add(self._controller, trial)
        result = {"step": step, "loss": value}
        return bool(self._scheduler.on_trial_result(self._controller, trial, result) == self._scheduler.STOP)

    def settled(self, tid: int, outcome: Outcome) -> None:
        """Forget a trial. What it has reported stays with the scheduler."""
        del self._trials[tid]


def _rays(steps: int) -> dict[str, Callable[[], Judge]]:
    try:
        from ray.tune.schedulers import ASHAScheduler, MedianStoppingRule
    except ImportError:
        return {}
    third, ninth = steps // 3, steps // 9
    asked = {"time_attr": "step", "metric": "loss", "mode": "min"}
    asha = {"max_t": steps, "reduction_factor": 3, **asked}
    return {
        MEDIAN: lambda: RaysJudge(MedianStoppingRule(grace_period=third, min_samples_required=5, **asked)),
        NINTH: lambda: RaysJudge(ASHAScheduler(grace_period=ninth, **asha)),
        "ASHA from the first step": lambda: RaysJudge(ASHAScheduler(grace_period=1, **asha)),
    }


def _ours(steps: int) -> dict[str, Callable[[], Judge]]:
    third, ninth = steps // 3, steps // 9
    return {
        "none": Never,
        MEDIAN: lambda: MedianStopping(warmup_steps=third).make("min"),
        "best quarter after a third": lambda: PercentileStopping(percentile=25, warmup_steps=third).make(
            "min"
        ),
        NINTH: lambda: ASHA(max_steps=steps, min_steps=ninth).make("min"),
        "ASHA from the first step": lambda: ASHA(max_steps=steps).make("min"),
        "Hyperband from a ninth": lambda: Hyperband(max_steps=steps, min_steps=ninth).make("min"),
        "Hyperband from the first step": lambda: Hyperband(max_steps=steps).make("min"),
    }


def _optunas(steps: int) -> dict[str, Callable[[], Judge]]:
    try:
        from optuna import pruners
    except ImportError:
        return {}
    third, ninth = steps // 3, steps // 9
    made: dict[str, Callable[[], Any]] = {
        MEDIAN: lambda: pruners.MedianPruner(n_warmup_steps=third),
        "best quarter after a third": lambda: pruners.PercentilePruner(25.0, n_warmup_steps=third),
        NINTH: lambda: pruners.SuccessiveHalvingPruner(ninth, 3),
        "ASHA from the first step": lambda: pruners.SuccessiveHalvingPruner(1, 3),
        "Hyperband from a ninth": lambda: pruners.HyperbandPruner(ninth, steps),
        "Hyperband from the first step": lambda: pruners.HyperbandPruner(1, steps),
    }
    return {rule: lambda make=make: OptunasJudge(make()) for rule, make in made.items()}  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Played:
    """Result of a search.

    Attributes:
        work: share of the steps that were run.
        best: least loss of a trial that ran to its end, relative to the least of all: 0 is the same.
        pruned: how many trials were stopped.
        micros: microseconds that a report took to be judged, on the average.
    """

    work: float
    best: float
    pruned: int
    micros: float


def play(curves: Curves, judge: Judge, trials: int, seed: int) -> Played:
    """Play a search.

    Args:
        curves: to draw the trials from.
        judge: says which stop.
        trials: how many.
        seed: of their order, and of how long each takes.
    """
    rng = random.Random(seed)
    chosen = rng.sample(curves.losses, trials)
    waiting = iter(range(trials))
    # When the next step of a trial ends; the trial; the step; how long its steps take.
    running = [(0.0, tid, 0, rng.uniform(0.8, 1.25)) for _, tid in zip(range(WORKERS), waiting, strict=False)]
    work, pruned, spent = 0, 0, 0.0
    ends = []
    while running:
        now, tid, step, pace = heapq.heappop(running)
        outcome = None
        if step:
            work += 1
            began = time.perf_counter()
            stops = judge.reported(tid, step, chosen[tid][step - 1])
            spent += time.perf_counter() - began
            # Whoever has run to the end has a result.
            outcome = Outcome.OK if step == curves.steps else Outcome.PRUNED if stops else None
        if outcome is None:
            heapq.heappush(running, (now + pace, tid, step + 1, pace))
            continue
        judge.settled(tid, outcome)
        pruned += outcome is Outcome.PRUNED
        if outcome is Outcome.OK:
            ends.append(chosen[tid][-1])
        if (following := next(waiting, None)) is not None:
            heapq.heappush(running, (now, following, 0, rng.uniform(0.8, 1.25)))
    least = min(curve[-1] for curve in chosen)
    best = min(ends) / least - 1 if ends else float("inf")
    return Played(work / (trials * curves.steps), best, pruned, 1e6 * spent / work)


def _tables(record: Record) -> list[Table]:
    tables = []
    for name, measured in record.figures["curves"].items():
        rows = [
            (
                f"{who}: {rule}",
                _spread([100 * each for each in found["work"]], 0),
                f"{100 * mean(found['best']):.1f} ({100 * max(found['best']):.1f})",
                f"{sum(each <= SAME for each in found['best'])} of {len(found['best'])}",
                f"{median(found['micros']):,.1f}",
            )
            for who, rules in measured["rules"].items()
            for rule, found in rules.items()
        ]
        columns = (
            *("", "work, %", "best loss worse by %, mean (most)", "same best"),
            "microseconds a report",
        )
        ranks = ", ".join(f"{value:.2f} at step {step}" for step, value in measured["ranks"].items())
        said = f"Rank correlation of a loss with that of the last step, {measured['steps']}: {ranks}."
        tables.append(Table(f"pruning: {name}, {record.settings['trials']} trials", columns, rows, [said]))
    return tables


def _limits(settings: Settings, figures: Figures) -> list[Limit]:
    measured = figures["curves"].get("digits", {}).get("rules", {}).get("sparkopt", {})
    limits = []
    for rule, bound in _LIMITS.items():
        found = measured.get(rule)
        work, best = (None, None) if found is None else (mean(found["work"]), mean(found["best"]))
        limits.append(Limit(f"work on digits, {rule}", bound, work))
        limits.append(Limit(f"how much worse the best loss on digits is, {rule}", SAME, best))
    return limits


@question(Form("What does pruning save, and what does it cost the search?", _tables, _limits))
@click.option("--trials", default=135, show_default=True, type=click.IntRange(WORKERS, 270))
@click.option("--seeds", default=20, show_default=True, type=click.IntRange(min=1))
def pruning(trials: int, seeds: int) -> Figures:
    """Work and best loss of pruning rules, ours and Optuna's, on recorded learning curves."""
    return {"curves": {name: _measure(load(name), trials, seeds) for name in KINDS}}


def _measure(curves: Curves, trials: int, seeds: int) -> Figures:
    rules: Figures = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for who, makers in (
            ("sparkopt", _ours(curves.steps)),
            ("optuna", _optunas(curves.steps)),
            ("ray-tune", _rays(curves.steps)),
        ):
            for rule, make in makers.items():
                played = [play(curves, make(), trials, seed) for seed in range(seeds)]
                rules.setdefault(who, {})[rule] = {
                    field: [getattr(each, field) for each in played]
                    for field in ("work", "best", "pruned", "micros")
                }
    steps = [step for step in (curves.steps // 9, curves.steps // 3) if step]
    ranks = {str(step): curves.rank_correlation(step) for step in steps}
    return {"steps": curves.steps, "ranks": ranks, "rules": rules}


def _spread(values: list[float], digits: int) -> str:
    return f"{median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"
