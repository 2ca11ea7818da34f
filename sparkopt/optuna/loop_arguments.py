"""Checks of the arguments of Optuna's loop, which looks at most of them only when it needs them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Final

from sparkopt.errors import TrialError
from sparkopt.wire.arguments import check_callable, check_flag, check_number, check_whole, refuse_type

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    Callback = Callable[[optuna.Study, FrozenTrial], None]

_CLASSES: Final = "a class of exceptions, or several of them"
_CALLBACKS: Final = "None or a list of functions of a study and a trial"


def loop_arguments(
    n_trials: int | None,
    timeout: float | None,
    catch: Iterable[type[Exception]] | type[Exception],
    callbacks: Iterable[Callback] | None,
    *,
    gc_after_trial: bool,
    show_progress_bar: bool,
) -> dict[str, Any]:
    """Return the arguments of :meth:`optuna.study.Study.optimize` for a study on workers.

    Raises:
        ArgumentTypeError: if one of them is not what Optuna can use.
        ArgumentValueError: the same.
    """
    if n_trials is not None:
        n_trials = check_whole("n_trials", n_trials, "None or a whole number that is not negative", least=0)
    if timeout is not None:
        timeout = check_number("timeout", timeout, "None or a number of seconds")
    return {
        "n_trials": n_trials,
        "timeout": timeout,
        "catch": (*_classes_in(catch), TrialError),
        "callbacks": _callbacks_in(callbacks),
        "gc_after_trial": check_flag("gc_after_trial", gc_after_trial),
        "show_progress_bar": check_flag("show_progress_bar", show_progress_bar),
    }


def _classes_in(catch: object) -> tuple[type[Exception], ...]:
    if isinstance(catch, type):
        catch = (catch,)
    if isinstance(catch, str) or not isinstance(catch, Iterable):
        refuse_type("catch", catch, _CLASSES)
    classes = tuple(catch)
    for each in classes:
        if not (isinstance(each, type) and issubclass(each, BaseException)):
            refuse_type("catch", each, _CLASSES)
    return classes


def _callbacks_in(callbacks: object) -> list[Callback]:
    if callbacks is None:
        return []
    if callable(callbacks) and not isinstance(callbacks, Iterable):
        refuse_type("callbacks", callbacks, _CALLBACKS, "put it into a list")
    if isinstance(callbacks, str) or not isinstance(callbacks, Iterable):
        refuse_type("callbacks", callbacks, _CALLBACKS)
    functions = list(callbacks)
    for each in functions:
        check_callable("callbacks", each, _CALLBACKS, None, None)
    return functions
