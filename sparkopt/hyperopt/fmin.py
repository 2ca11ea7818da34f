"""fmin with hyperopt's signature."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from types import SimpleNamespace
from typing import Any, Final

import hyperopt
import numpy as np
from hyperopt import base

from sparkopt.errors import UnsupportedArgumentError
from sparkopt.hyperopt import savefile
from sparkopt.hyperopt.bars import ProgressFactory
from sparkopt.hyperopt.domain import check_space, domain_of
from sparkopt.hyperopt.fmin_options import (
    Algorithm,
    EarlyStop,
    Options,
    check_annotated,
    check_seed_setting,
    check_trials,
    takes_expression,
)
from sparkopt.hyperopt.in_notebooks import interruptible
from sparkopt.hyperopt.spark_trials import SparkTrials
from sparkopt.study.file_arguments import writable_file
from sparkopt.wire.arguments import check_flag, check_objective, hinting

_LOST: Final = "to keep them next time, give it trials=SparkTrials(...)"
_SAVED: Final = "the same fmin goes on from trials_save_file"


@hinting
def fmin(
    fn: Callable[..., Any],
    space: Any,
    algo: Algorithm | None = None,
    max_evals: int | None = None,
    timeout: float | None = None,
    loss_threshold: float | None = None,
    trials: base.Trials | None = None,
    rstate: np.random.Generator | None = None,
    allow_trials_fmin: bool = True,
    pass_expr_memo_ctrl: bool | None = None,
    catch_eval_exceptions: bool = False,
    verbose: bool = True,
    return_argmin: bool = True,
    points_to_evaluate: list[dict[str, Any]] | None = None,
    max_queue_len: int = 1,
    show_progressbar: bool | ProgressFactory = True,
    early_stop_fn: EarlyStop | None = None,
    trials_save_file: str | os.PathLike[str] | None = "",
) -> Any:
    """Minimize an objective over a space, on Spark workers.

    The arguments are those of :func:`hyperopt.fmin` and mean what they mean there.

    Args:
        fn: the objective: takes a point of the space, returns a loss or hyperopt's dictionary.
        space: any hyperopt expression, or ``"annotated"``.
        algo: ``hyperopt.tpe.suggest`` (the default), ``rand.suggest``, ``anneal.suggest``, a mix, or any
            function of that signature.
        max_evals: how many trials, those that ``trials`` already holds included.
        timeout: seconds after which running trials are ended, and the best of the finished ones is returned.
        loss_threshold: a loss below this ends the search.
        trials: where the trials go; by default a new :class:`SparkTrials`. It may hold trials already: the
            search goes on from them. With trials of hyperopt's own kinds the search is hyperopt's own.
        rstate: a :class:`numpy.random.Generator` for the algorithm's seeds; by default one seeded with
            ``$HYPEROPT_FMIN_SEED`` if that is set, else at random.
        allow_trials_fmin: must be true.
        pass_expr_memo_ctrl: whether the objective takes ``expr``, ``memo`` and ``ctrl`` rather than a point;
            by default what :func:`hyperopt.fmin_pass_expr_memo_ctrl` says of it.
        catch_eval_exceptions: has no effect: a trial that fails is recorded and the search goes on, as with
            ``hyperopt.SparkTrials``.
        verbose: whether to show progress at all.
        return_argmin: whether to return the best values (``hp.choice`` as indices), or the best point.
        points_to_evaluate: settings to evaluate first, as dictionaries of values by label (``hp.choice`` by
            index), in addition to ``max_evals`` others; with a journal, those that it does not hold yet.
        max_queue_len: how many proposals the algorithm makes at once, and how many may wait for a worker; one
            fewer with a parallelism of 1, so that the search is that of serial hyperopt.
        show_progressbar: whether to show a bar, or a context manager that makes one.
        early_stop_fn: called once for each finished trial, as in hyperopt; may end the search.
        trials_save_file: a file that the trials are pickled to now and then, and at the end. If there is one
            already and ``trials`` is not given, the search goes on from what it holds.

    Returns:
        The best trial's values by label; with ``return_argmin=False`` the best point of the space, or None if
        every trial raised, was lost or was cancelled.

    Raises:
        RefusedError: before anything is launched, if something rules the search out.
        PoolError: if the workers do not come up, are lost or are cancelled; finished trials are kept on
            ``trials``.
        JournalError: if the journal cannot be written; finished trials are kept on ``trials``.
        SaveFileError: if ``trials_save_file`` cannot be written at the end; ``trials`` has them all.
        AllTrialsFailedError: if no trial has a loss, and None is not returned instead.

    Example:
        >>> from hyperopt import hp, tpe
        >>> from sparkopt import SparkTrials, fmin
        >>> best = fmin(
        ...     lambda x: (x - 1) ** 2, hp.uniform("x", -5, 5), algo=tpe.suggest, max_evals=100,
        ...     trials=SparkTrials(parallelism=4),
        ... )
        >>> list(best)
        ['x']
    """
    if not check_flag("allow_trials_fmin", allow_trials_fmin):
        raise UnsupportedArgumentError(
            "allow_trials_fmin=False would leave the trials to hyperopt's serial loop: use hyperopt.fmin"
        )
    if trials_save_file is None:
        trials_save_file = ""
    file = writable_file(trials_save_file, "trials_save_file") if trials_save_file != "" else None
    check_trials(trials)
    if rstate is None:
        check_seed_setting()
    given: dict[str, Any] = {
        "algo": algo,
        "max_evals": max_evals,
        "timeout": timeout,
        "loss_threshold": loss_threshold,
        "max_queue_len": max_queue_len,
        "rstate": rstate,
        "verbose": verbose,
        "pass_expr_memo_ctrl": pass_expr_memo_ctrl,
        "catch_eval_exceptions": catch_eval_exceptions,
        "return_argmin": return_argmin,
        "show_progressbar": show_progressbar,
        "early_stop_fn": early_stop_fn,
        "trials_save_file": trials_save_file,
        "points_to_evaluate": points_to_evaluate,
    }
    options = Options.of(**given)
    if isinstance(space, str) and space == "annotated":
        check_annotated(fn)
    else:
        check_objective(fn, takes_expression(fn, options.pass_expr_memo_ctrl))
        check_space(space)
        if not isinstance(trials, SparkTrials):
            domain_of(fn, space, options.pass_expr_memo_ctrl)  # before a session is made, or hyperopt begins
    if trials is None and file is not None and file.exists():
        # As with hyperopt, the points are among what was saved.
        trials, given["points_to_evaluate"] = SparkTrials.of(savefile.load(file)), None
    keeping: AbstractContextManager[None] = nullcontext()
    if trials is None:
        trials = SparkTrials()
        keeping = interruptible(trials, _LOST if file is None else _SAVED)
    target = trials
    if isinstance(trials, SparkTrials):
        # hyperopt.fmin prepares the other arguments, and knows of no trials that take points.
        target = SimpleNamespace(fmin=partial(trials.fmin, points_to_evaluate=given["points_to_evaluate"]))
    with keeping:
        return hyperopt.fmin(fn, space, trials=target, **{**given, "max_evals": options.max_evals})
