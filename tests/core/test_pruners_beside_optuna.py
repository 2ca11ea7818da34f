"""The pruners beside Optuna's on the same curves: where the rule is the same, so is every verdict."""

from __future__ import annotations

import random
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest

from sparkopt.core.pruning.pruner import Pruner
from sparkopt.core.states import Outcome
from sparkopt.study.pruning_rules import (
    ASHA,
    Hyperband,
    MedianStopping,
    PercentileStopping,
    PruningRule,
    ThresholdStopping,
)
from tests.core.pruning_support import INF, NAN

optuna = pytest.importorskip("optuna")

STEPS = 30
TRIALS = 60


def curves(seed: int, odd: Sequence[float] = ()) -> list[list[float]]:
    """Learning curves in eighths, so that no rounding decides, with odd values here and there."""
    random_numbers = random.Random(seed)
    found = []
    for _ in range(TRIALS):
        end, speed = random_numbers.random(), random_numbers.uniform(0.3, 1)
        curve = [round(80 * (end + speed**step + random_numbers.gauss(0, 0.05))) / 8 for step in range(STEPS)]
        if odd:
            for step in range(STEPS):
                if random_numbers.random() < 0.15:
                    curve[step] = random_numbers.choice(odd)
        found.append(curve)
    return found


class Beside:
    """A study of Optuna's whose trials report what ours do."""

    def __init__(self, pruner: Any, mode: str) -> None:
        direction = "minimize" if mode == "min" else "maximize"
        self._study = optuna.create_study(direction=direction, pruner=pruner, study_name="beside")
        self._trials: dict[int, Any] = {}

    def reported(self, tid: int, step: int, value: float) -> bool:
        trial = self._trials.get(tid) or self._trials.setdefault(tid, self._study.ask())
        assert trial.number == tid
        trial.report(value, step)
        return bool(trial.should_prune())

    def settled(self, tid: int, outcome: Outcome) -> None:
        state = {Outcome.OK: "COMPLETE", Outcome.PRUNED: "PRUNED"}.get(outcome, "FAIL")
        values = 1.0 if outcome is Outcome.OK else None
        self._study.tell(self._trials[tid], values, state=optuna.trial.TrialState[state])


def events(seed: int, values: list[list[float]], workers: int) -> Iterator[tuple[str, int, Any]]:
    """Reports and ends of trials that run side by side. What is sent in is whether the trial is to stop."""
    random_numbers = random.Random(seed)
    running: dict[int, int] = {}
    waiting = iter(range(len(values)))
    while True:
        # Optuna numbers trials as they are asked for, so a trial's first report comes when it starts.
        while len(running) < workers and (following := next(waiting, None)) is not None:
            running[following] = 0
        if not running:
            return
        new = [tid for tid, step in running.items() if not step]
        tid = new[0] if new else random_numbers.choice(sorted(running))
        step = running[tid] = running[tid] + 1
        stops = yield "report", tid, (step, values[tid][step - 1])
        fails = random_numbers.random() < 0.004
        if stops or fails or step == len(values[tid]):
            outcome = Outcome.PRUNED if stops else Outcome.FAILED if fails else Outcome.OK
            yield "end", tid, outcome
            del running[tid]


def compare(ours: Pruner, theirs: Beside, seed: int, values: list[list[float]]) -> int:
    """Have both judge the same trials; returns how many were pruned."""
    happenings = events(seed, values, workers=8)
    pruned = 0
    happened = next(happenings)
    while True:
        what, tid, said = happened
        answer = None
        if what == "end":
            pruned += said is Outcome.PRUNED
            ours.settled(tid, said)
            theirs.settled(tid, said)
        else:
            answer = ours.reported(tid, *said)
            assert theirs.reported(tid, *said) == answer, f"{said} of trial {tid}"
        try:
            happened = happenings.send(answer)
        except StopIteration:
            return pruned


def median() -> Any:
    return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=5)


def percentile() -> Any:
    return optuna.pruners.PercentilePruner(25.0, n_startup_trials=2, n_warmup_steps=3, interval_steps=4)


def halving() -> Any:
    return optuna.pruners.SuccessiveHalvingPruner(min_resource=2, reduction_factor=3)


def threshold() -> Any:
    return optuna.pruners.ThresholdPruner(lower=-9.0, upper=9.0, n_warmup_steps=4, interval_steps=3)


ODD = (NAN, NAN, INF, -INF)
RULES: list[tuple[PruningRule, Callable[[], Any], Sequence[float]]] = [
    (MedianStopping(warmup_steps=5, min_trials=4), median, (NAN,)),
    (PercentileStopping(percentile=25, warmup_steps=3, min_trials=2, interval_steps=4), percentile, (NAN,)),
    (ASHA(min_steps=2, max_steps=STEPS + 1, reduction_factor=3), halving, ODD),
    (ThresholdStopping(lower=-9, upper=9, warmup_steps=4, interval_steps=3), threshold, ODD),
]
"""Each with what makes Optuna's of the same rule, and the odd values with which it is the same. A percentile
between an infinite value and another one is NaN with NumPy, by which Optuna stops nothing."""


@pytest.fixture(autouse=True)
def quiet():
    """Optuna warns of what is experimental."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
    optuna.logging.set_verbosity(before)


@pytest.mark.parametrize("odd", [False, True], ids=["finite", "odd"])
@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize(("rule", "theirs", "values"), RULES, ids=[type(rule).__name__ for rule, *_ in RULES])
def test_each_verdict_is_optunas(rule, theirs, values, mode, odd):
    sign = 1 if mode == "min" else -1
    made = [[sign * value for value in curve] for curve in curves(5, values if odd else ())]
    pruned = compare(rule.make(mode), Beside(theirs(), mode), 7, made)
    assert 5 <= pruned < TRIALS


@pytest.mark.parametrize("mode", ["min", "max"])
def test_each_bracket_of_hyperband_decides_as_optunas(mode, monkeypatch):
    ours = Hyperband(max_steps=27, reduction_factor=3).make(mode)
    brackets = ours if mode == "min" else ours._pruner
    theirs = optuna.pruners.HyperbandPruner(min_resource=1, max_resource=27, reduction_factor=3)
    of = brackets.bracket_of
    # Theirs follows from the names of the study; the shares are the same.
    monkeypatch.setattr(theirs, "_get_bracket_id", lambda study, trial: of(trial.number))
    sign = 1 if mode == "min" else -1
    # With 27 steps each, theirs would compare once more, at the last one.
    made = [[sign * value for value in curve[:26]] for curve in curves(5)]
    assert compare(ours, Beside(theirs, mode), 7, made) > 10
    assert theirs._n_brackets == len(brackets.brackets)
    sizes = theirs._trial_allocation_budgets
    assert [sum(sizes[: place + 1]) for place in range(len(sizes))] == brackets._parts
