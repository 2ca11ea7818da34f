"""Arguments of one call of ``fmin``, checked before anything is launched.

    fmin(...) ──▶ check_objective, check_trials, Options.of ──▶ Options ──▶ Search

The space is checked where it is read, in space.py, and points in points_to_evaluate.py.
"""

from __future__ import annotations

import inspect
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from hyperopt import base, early_stop, pyll

from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.hyperopt.algorithms import check_keywords
from sparkopt.wire.arguments import (
    WHOLE,
    check_callable,
    check_flag,
    check_limit,
    check_number,
    check_whole,
    refuse_type,
    refuse_value,
    shown,
)

if TYPE_CHECKING:
    from sparkopt.hyperopt.bars import ProgressFactory
    from sparkopt.hyperopt.documents import Document
    from sparkopt.hyperopt.points_to_evaluate import Point

Algorithm: TypeAlias = "Callable[..., list[Document]]"
EarlyStop: TypeAlias = "Callable[..., tuple[bool, list[Any]]]"

_ALGORITHM: Final = "callable, as hyperopt.tpe.suggest is: with new ids, a domain, trials and a seed"
_EARLY_STOP: Final = "None, or callable with the trials and what it returned before"
_ANSWER: Final = "whether to stop and a list for its next call, as in `return False, []`"
_BAR: Final = "True, False, or callable with initial and total, for a context manager with the bar"
_MAX_EVALS: Final = "None or a whole number of trials that is not negative"
_SEED: Final = "HYPEROPT_FMIN_SEED"
_RANDOM: Final = "None or a numpy.random.Generator"


@dataclass(frozen=True, slots=True)
class Options:
    """Arguments of ``fmin`` other than the objective and the space; see :func:`sparkopt.fmin`."""

    algo: Algorithm | None = None
    max_evals: int | None = None
    timeout: float | None = None
    loss_threshold: float | None = None
    max_queue_len: int = 1
    rstate: np.random.Generator | None = None
    verbose: bool = False
    pass_expr_memo_ctrl: bool | None = None
    return_argmin: bool = True
    show_progressbar: bool | ProgressFactory = True
    early_stop_fn: EarlyStop | None = None
    trials_save_file: str | os.PathLike[str] = ""
    points_to_evaluate: Sequence[Point] | None = None

    @classmethod
    def of(
        cls,
        *,
        algo: object,
        max_evals: object,
        timeout: object,
        loss_threshold: object,
        max_queue_len: object,
        rstate: object,
        verbose: object,
        pass_expr_memo_ctrl: object,
        catch_eval_exceptions: object,
        return_argmin: object,
        show_progressbar: object,
        early_stop_fn: object,
        trials_save_file: str | os.PathLike[str],
        points_to_evaluate: Sequence[Point] | None,
    ) -> Options:
        """The options, each checked by itself.

        Raises:
            RefusedError: naming the first that makes no sense.
        """
        check_flag("catch_eval_exceptions", catch_eval_exceptions)
        return cls(
            algo=_algorithm(algo),
            max_evals=_max_evals(max_evals),
            timeout=check_timeout(timeout),
            loss_threshold=check_loss_threshold(loss_threshold),
            max_queue_len=check_whole("max_queue_len", max_queue_len, WHOLE, least=1),
            rstate=_random(rstate),
            verbose=_verbose(verbose),
            pass_expr_memo_ctrl=(
                None
                if pass_expr_memo_ctrl is None
                else check_flag("pass_expr_memo_ctrl", pass_expr_memo_ctrl, "None, True or False")
            ),
            return_argmin=check_flag("return_argmin", return_argmin),
            show_progressbar=_bar(show_progressbar),
            early_stop_fn=_early_stop(early_stop_fn),
            trials_save_file=trials_save_file,
            points_to_evaluate=points_to_evaluate,
        )


def check_timeout(value: object) -> float | None:
    """Seconds, or None. Refuses in hyperopt's words.

    Raises:
        ArgumentValueError: if it is not a positive number.
    """
    _as_hyperopt(base.validate_timeout, value)
    return check_limit("timeout", value)


def check_loss_threshold(value: object) -> float | None:
    """A number, or None. Refuses in hyperopt's words.

    Raises:
        ArgumentValueError: if it is not a number.
    """
    _as_hyperopt(base.validate_loss_threshold, value)
    return None if value is None else check_number("loss_threshold", value, "None or a number")


def _as_hyperopt(check: Callable[[Any], None], value: object) -> None:
    try:
        check(value)
    except TypeError:
        return  # a complex number, which is refused next
    except Exception as error:  # noqa: BLE001 - hyperopt raises nothing more particular
        raise ArgumentValueError(str(error)) from None


def takes_expression(fn: object, pass_expr_memo_ctrl: bool | None) -> bool:
    """Returns whether an objective is called with ``expr``, ``memo`` and ``ctrl`` rather than a point."""
    if pass_expr_memo_ctrl is not None:
        return pass_expr_memo_ctrl
    return bool(getattr(fn, "fmin_pass_expr_memo_ctrl", False))


def check_annotated(fn: object) -> None:
    """Refuse an objective whose annotations are not a space, where ``space="annotated"``.

    Raises:
        ArgumentTypeError: saying which of them is none.
    """
    if not callable(fn):
        refuse_type("fn", fn, "callable")
    try:
        found = inspect.getfullargspec(fn).annotations
    except TypeError:
        found = {}
    if not found:
        raise ArgumentTypeError(
            f"space='annotated' takes the space from fn's annotations, and {shown(fn)} has none: annotate its"
            " arguments, as in `def fn(x: hp.uniform('x', 0, 1))`"
        )
    for name, annotation in found.items():
        if not isinstance(annotation, pyll.base.Apply):
            raise ArgumentTypeError(
                f"space='annotated' takes each annotation of fn for a hyperparameter, and that of {name!r} is"
                f" {shown(annotation)}: it must be an expression such as hp.uniform('x', 0, 1). Leave other"
                " annotations out, that of what fn returns too, and `from __future__ import annotations`."
            )


def check_trials(trials: object) -> None:
    """Refuse what is not a place for trials.

    Raises:
        ArgumentTypeError: saying what is one.
    """
    if trials is None or isinstance(trials, base.Trials):
        return
    if isinstance(trials, type) or not callable(getattr(trials, "fmin", None)):
        hint = "call it, as in SparkTrials()" if isinstance(trials, type) else ""
        refuse_type("trials", trials, "None, SparkTrials or one of hyperopt's trials", hint)


def check_seed_setting() -> None:
    """Refuse a ``$HYPEROPT_FMIN_SEED`` that hyperopt can make no generator of.

    Raises:
        ArgumentValueError: saying what it should be.
    """
    text = os.environ.get(_SEED, "")
    try:
        fits = not text or int(text) >= 0
    except ValueError:
        fits = False
    if not fits:
        refuse_value(
            f"the environment variable {_SEED}", text, "a whole number that is not negative, or unset"
        )


def _algorithm(value: Any) -> Algorithm | None:
    if value is None:
        return None
    if inspect.ismodule(value) and callable(getattr(value, "suggest", None)):
        refuse_type("algo", value, _ALGORITHM, f"give its function, {value.__name__}.suggest")
    if isinstance(value, type):
        refuse_type("algo", value, _ALGORITHM)
    check_callable("algo", value, _ALGORITHM, [], None, None, 0)
    check_keywords(value)
    algorithm: Algorithm = value
    return algorithm


def _max_evals(value: Any) -> int | None:
    if value is None or (isinstance(value, float) and value == math.inf):
        return None
    return check_whole("max_evals", value, _MAX_EVALS, least=0, floats=True)


def _random(value: object) -> np.random.Generator | None:
    if value is not None and not isinstance(value, np.random.Generator):
        seed = value if isinstance(value, (int, np.integer)) and not isinstance(value, bool) else 42
        refuse_type("rstate", value, _RANDOM, f"for a seed, give numpy.random.default_rng({seed})")
    return value


def _verbose(value: object) -> bool:
    if isinstance(value, (int, np.integer)):
        return bool(value > 0)  # others have levels of it
    return check_flag("verbose", value)


def _bar(value: Any) -> bool | ProgressFactory:
    if not callable(value):
        return check_flag("show_progressbar", value, _BAR)
    check_callable("show_progressbar", value, _BAR, initial=0, total=0)
    factory: ProgressFactory = value
    return factory


def _early_stop(value: Any) -> EarlyStop | None:
    if value is None:
        return None
    if value is early_stop.no_progress_loss:
        refuse_value("early_stop_fn", value, _EARLY_STOP, "call it, as in no_progress_loss(20)")
    check_callable("early_stop_fn", value, _EARLY_STOP, None)
    stop: EarlyStop = value
    return stop


def early_stop_answer(said: Any) -> tuple[bool, list[Any]]:
    """Take apart what an ``early_stop_fn`` returned: whether to stop, and what its next call gets.

    Raises:
        ArgumentTypeError: if it is something else.
    """
    try:
        if isinstance(said, (str, bytes, dict)):
            raise TypeError
        stop, arguments = said
        return bool(stop), [*arguments]
    except (TypeError, ValueError):
        raise ArgumentTypeError(f"early_stop_fn must return {_ANSWER}, got {shown(said)}") from None
