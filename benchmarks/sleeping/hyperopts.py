"""Searches by sparkopt and by hyperopt's SparkTrials, by algorithms of hyperopt's interface."""

from __future__ import annotations

import copy
import math
import warnings
from collections.abc import Callable
from typing import Any

import hyperopt
import numpy as np
from hyperopt import tpe

import sparkopt
from benchmarks.sleeping.objective import Sleeping
from benchmarks.sleeping.task import Task


def run_sparkopt(algo: Callable[..., Any], prunes: bool, task: Task, objective: Sleeping) -> None:
    """Sparkopt, whose workers start and end with the search.

    Args:
        algo: a ``suggest`` function.
        prunes: whether ASHA stops trials, from a ninth of the steps on.
        task: the search.
        objective: of it.
    """
    steps, pruner = task.objective.steps, None
    if prunes:
        objective = copy.copy(objective)
        objective.report = sparkopt.report
        pruner = sparkopt.ASHA(max_steps=steps, min_steps=steps // 9)
    trials = sparkopt.SparkTrials(
        task.parallelism, task.patience, spark_session=task.session, pruner=pruner, tracking=False
    )
    _fmin(sparkopt.fmin, trials, algo, task, objective)


def run_sparktrials(queued: bool, task: Task, objective: Sleeping) -> None:
    """hyperopt.SparkTrials with its TPE.

    Args:
        queued: whether as many proposals wait as trials can run at once, or one.
        task: the search.
        objective: of it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trials = hyperopt.SparkTrials(task.parallelism, task.patience, spark_session=task.session)
    queue = task.parallelism if queued else 1
    _fmin(hyperopt.fmin, trials, tpe.suggest, task, objective, max_queue_len=queue)


def _fmin(
    fmin: Callable[..., Any],
    trials: Any,
    algo: Callable[..., Any],
    task: Task,
    objective: Sleeping,
    **options: Any,
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fmin(
            objective,
            task.objective.space.of_hyperopt(),
            algo,
            task.trials,
            trials=trials,
            # A search ends with a loss below the one that it is given.
            loss_threshold=math.nextafter(task.threshold, math.inf),
            rstate=np.random.default_rng(task.seed),
            return_argmin=False,
            verbose=False,
            show_progressbar=False,
            **options,
        )
