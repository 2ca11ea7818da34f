"""Settings of the rules by which a search stops trials early, as users give them.

    MedianStopping(warmup_steps=9) ── make("min") ──▶ a pruner of one search (core/pruning/)

Settings are immutable, so that one may be given to several searches.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal, TypeVar

from sparkopt.core.pruning.halving import HalvingPruner, rungs
from sparkopt.core.pruning.hyperband import HyperbandPruner
from sparkopt.core.pruning.percentile import PercentilePruner
from sparkopt.core.pruning.pruner import Maximizing, Pruner
from sparkopt.core.pruning.threshold import ThresholdPruner
from sparkopt.core.states import Outcome
from sparkopt.errors import PrunerError
from sparkopt.wire.arguments import (
    WHOLE,
    check_callable,
    check_flag,
    check_number,
    check_whole,
    hinting,
    refuse_type,
    refuse_value,
)

if TYPE_CHECKING:
    from sparkopt.study.journal import Entry

RuleT = TypeVar("RuleT", bound="PruningRule")

Mode = Literal["min", "max"]
"""Which of the reported values are the best: the smallest, or the largest."""

_MODES: Final = "'min' or 'max'"
_STEP: Final = "a step: a whole number, at least 0"
_TRIALS: Final = "a whole number of trials, at least 0"
_PERCENT: Final = "a number between 0 and 100: so many per cent of the finished trials are as good or better"
_FACTOR: Final = "a whole number, at least 2: one trial in so many goes on"
_BOUND: Final = "None or a number"
_RULE: Final = (
    "None, MedianStopping, PercentileStopping, ASHA, Hyperband, ThresholdStopping, or an object with the"
    " methods reported(tid, step, value) and settled(tid, outcome)"
)


def _hinting(rule: type[RuleT]) -> type[RuleT]:
    """Have a rule refuse unknown keywords with a hint at the name that was meant."""
    rule.__init__ = hinting(rule.__init__)  # type: ignore[method-assign]
    return rule


class PruningRule(ABC):
    """Rule by which a search stops trials early: its settings, before the search."""

    @abstractmethod
    def make(self, mode: Mode) -> Pruner:
        """Return a pruner for one search.

        Args:
            mode: whether the smallest or the largest of the reported values is the best.
        """


@_hinting
@dataclass(frozen=True, slots=True, kw_only=True)
class PercentileStopping(PruningRule):
    """Stops a trial whose best value so far is worse than a percentile of the finished trials at that step.

    Args:
        percentile: between 0 and 100. With 25, a trial goes on as long as its best value would be among the
            best quarter of the finished trials.
        warmup_steps: first step at which a trial may be stopped.
        min_trials: nothing is stopped before so many trials have finished.
        interval_steps: a trial is judged once in so many steps.

    Raises:
        RefusedError: if an argument makes no sense.

    Example:
        >>> trials = SparkTrials(4, pruner=PercentileStopping(percentile=25, warmup_steps=27))
    """

    percentile: float
    warmup_steps: int
    min_trials: int = 5
    interval_steps: int = 1

    def __post_init__(self) -> None:
        percentile = check_number("percentile", self.percentile, _PERCENT)
        if not 0 <= percentile <= 100:
            refuse_value("percentile", self.percentile, _PERCENT)
        _set(self, percentile=percentile)
        _check_steps(self)
        _set(self, min_trials=check_whole("min_trials", self.min_trials, _TRIALS, least=0))

    def make(self, mode: Mode) -> Pruner:
        """Return a pruner for one search."""
        pruner = PercentilePruner(self.percentile, self.warmup_steps, self.interval_steps, self.min_trials)
        return _for(mode, pruner)


@_hinting
@dataclass(frozen=True, slots=True, kw_only=True)
class MedianStopping(PruningRule):
    """Stops a trial whose best value so far is worse than the median of the finished trials at that step.

    The rule to begin with. With about a third of a trial's steps as warm-up, it saves less than ASHA can, and
    makes fewer mistakes where early values tell little about late ones.

    Args:
        warmup_steps: first step at which a trial may be stopped.
        min_trials: nothing is stopped before so many trials have finished.
        interval_steps: a trial is judged once in so many steps.

    Raises:
        RefusedError: if an argument makes no sense.

    Example:
        >>> trials = SparkTrials(4, pruner=MedianStopping(warmup_steps=27))
    """

    warmup_steps: int
    min_trials: int = 5
    interval_steps: int = 1

    def __post_init__(self) -> None:
        _check_steps(self)
        _set(self, min_trials=check_whole("min_trials", self.min_trials, _TRIALS, least=0))

    def make(self, mode: Mode) -> Pruner:
        """Return a pruner for one search."""
        return _for(mode, PercentilePruner(50, self.warmup_steps, self.interval_steps, self.min_trials))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Halving(PruningRule):
    """Settings of successive halving.

    Attributes:
        max_steps: step at which a trial ends. Nothing is stopped from there on.
        min_steps: step at which trials are first compared.
        reduction_factor: one trial in so many goes on each time.
    """

    max_steps: int
    min_steps: int = 1
    reduction_factor: int = 3

    def __post_init__(self) -> None:
        low = check_whole("min_steps", self.min_steps, WHOLE, least=1, floats=True)
        expected = f"a whole number of steps, more than min_steps, which is {low}"
        high = check_whole("max_steps", self.max_steps, expected, least=low + 1, floats=True)
        factor = check_whole("reduction_factor", self.reduction_factor, _FACTOR, least=2, floats=True)
        _set(self, min_steps=low, max_steps=high, reduction_factor=factor)


@_hinting
@dataclass(frozen=True, slots=True, kw_only=True)
class ASHA(_Halving):
    """Asynchronous successive halving: at steps that lie ever further apart, only the best trials go on.

    Saves most where early values say how a trial will end, and ruins a search where they do not. See
    :class:`~sparkopt.core.pruning.halving.HalvingPruner` for the rule.

    Args:
        max_steps: step at which a trial ends. Nothing is stopped from there on.
        min_steps: step at which trials are first compared. Next comes ``reduction_factor`` times that.
        reduction_factor: one trial in so many goes on each time.

    Raises:
        RefusedError: if an argument makes no sense.

    Example:
        >>> trials = SparkTrials(4, pruner=ASHA(max_steps=81))  # compares at the steps 1, 3, 9 and 27
    """

    def make(self, mode: Mode) -> Pruner:
        """Return a pruner for one search."""
        steps = rungs(self.min_steps, self.max_steps, self.reduction_factor)
        return _for(mode, HalvingPruner(steps, self.reduction_factor))


@_hinting
@dataclass(frozen=True, slots=True, kw_only=True)
class Hyperband(_Halving):
    """Brackets of :class:`ASHA` side by side, each of which begins to compare at a later step.

    A compromise for searches where it is not known how early reports tell how a trial will end. See
    :class:`~sparkopt.core.pruning.hyperband.HyperbandPruner` for the rule.

    Args:
        max_steps: step at which a trial ends. Nothing is stopped from there on.
        min_steps: step at which trials of the first bracket are first compared.
        reduction_factor: one trial in so many goes on each time.

    Raises:
        RefusedError: if an argument makes no sense.

    Example:
        >>> trials = SparkTrials(4, pruner=Hyperband(max_steps=81))
    """

    def make(self, mode: Mode) -> Pruner:
        """Return a pruner for one search."""
        return _for(mode, HyperbandPruner(self.min_steps, self.max_steps, self.reduction_factor))


@_hinting
@dataclass(frozen=True, slots=True, kw_only=True)
class ThresholdStopping(PruningRule):
    """Stops a trial whose value leaves bounds, or is NaN. The bounds are on the values as they are reported.

    Args:
        lower: a value below this stops a trial; None for no bound.
        upper: a value above this stops a trial; None for no bound.
        warmup_steps: first step at which a trial may be stopped.
        interval_steps: a trial is judged once in so many steps.

    Raises:
        RefusedError: if an argument makes no sense.

    Example:
        >>> trials = SparkTrials(4, pruner=ThresholdStopping(upper=1e6))  # stops what diverges
    """

    lower: float | None = None
    upper: float | None = None
    warmup_steps: int = 0
    interval_steps: int = 1

    def __post_init__(self) -> None:
        lower, upper = (
            None if bound is None else check_number(name, bound, _BOUND)
            for name, bound in (("lower", self.lower), ("upper", self.upper))
        )
        _set(self, lower=lower, upper=upper)
        if lower is not None and upper is not None and lower > upper:
            refuse_value("lower", lower, f"at most upper, which is {upper}")
        _check_steps(self)

    def make(self, mode: Mode) -> Pruner:
        """Return a pruner for one search."""
        lower = float("-inf") if self.lower is None else self.lower
        upper = float("inf") if self.upper is None else self.upper
        return ThresholdPruner(lower, upper, self.warmup_steps, self.interval_steps)


def check_metric(metric: str | None, metric_is_loss: bool) -> tuple[str | None, bool]:
    """The name of the metric that trials report by, and whether it is on the loss's scale.

    Raises:
        ArgumentTypeError: if one of them is of another type.
        ArgumentValueError: if the name is empty, or there is none that could be on that scale.
    """
    is_loss = check_flag("metric_is_loss", metric_is_loss)
    if metric is not None and not isinstance(metric, str):
        refuse_type("metric", metric, "None or the name of a metric")
    if metric == "":
        refuse_value("metric", metric, "None or the name of a metric")
    if is_loss and metric is None:
        refuse_value("metric_is_loss", is_loss, "False, as no metric is named")
    return metric, is_loss


def check_mode(mode: object) -> Mode:
    """Returns whether the smallest or the largest of the reported values is the best.

    Raises:
        ArgumentTypeError: if it is not text.
        ArgumentValueError: if it is another one.
    """
    if not isinstance(mode, str):
        refuse_type("mode", mode, _MODES)
    if mode not in ("min", "max"):
        refuse_value("mode", mode, _MODES)
    return "min" if mode == "min" else "max"


def check_pruner(pruner: Any) -> PruningRule | Pruner | None:
    """A rule by which trials stop early, or a pruner; None for none.

    Raises:
        ArgumentTypeError: if it is something else.
    """
    if isinstance(pruner, type):
        refuse_type("pruner", pruner, _RULE, f"make one: {pruner.__name__}(...)")
    if pruner is not None and not isinstance(pruner, (PruningRule, Pruner)):
        foreign = type(pruner).__module__.startswith("optuna.")
        refuse_type("pruner", pruner, _RULE, "those of Optuna need its study" if foreign else "")
    if isinstance(pruner, Pruner):
        check_callable("the pruner's reported", pruner.reported, "a method (tid, step, value)", 0, 1, 0.0)
        check_callable("the pruner's settled", pruner.settled, "a method (tid, outcome)", 0, Outcome.OK)
    known: PruningRule | Pruner | None = pruner
    return known


def make_pruner(rule: PruningRule | Pruner, mode: Mode, entries: Iterable[Entry] = ()) -> Pruner:
    """Make a pruner for one search.

    Args:
        rule: which makes it; or a pruner, which is used as it is and knows by itself what is best.
        mode: whether the smallest or the largest of the reported values is the best.
        entries: of the journal that the search goes on from. The pruner hears of what their trials reported.

    Raises:
        PrunerError: if the pruner raises an error at that.
    """
    pruner = rule.make(mode) if isinstance(rule, PruningRule) else rule
    try:
        for entry in entries:
            if entry.outcome is not None:
                for step, value in entry.values or ():
                    pruner.reported(entry.tid, step, value)
                pruner.settled(entry.tid, entry.outcome)
    except KeyboardInterrupt:
        raise  # of the user's own, perhaps: this is the thread of the search
    except BaseException as error:
        raise PrunerError.of(error) from error
    return pruner


def _for(mode: Mode, minimizing: Pruner) -> Pruner:
    return minimizing if mode == "min" else Maximizing(minimizing)


def _check_steps(rule: PercentileStopping | MedianStopping | ThresholdStopping) -> None:
    _set(
        rule,
        warmup_steps=check_whole("warmup_steps", rule.warmup_steps, _STEP, least=0, floats=True),
        interval_steps=check_whole("interval_steps", rule.interval_steps, WHOLE, least=1, floats=True),
    )


def _set(rule: PruningRule, **values: Any) -> None:
    """Set the checked settings of a rule that is being made."""
    for name, value in values.items():
        object.__setattr__(rule, name, value)
