"""A search in MLflow: what is known of it goes to a tracker, if it is tracked at all.

MLflow is imported here only when a search that is tracked begins: its import takes seconds.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hyperopt import base
from hyperopt.exceptions import AllTrialsFailed

from sparkopt.hyperopt.documents import DrawnValues
from sparkopt.hyperopt.readable import ReadableSpace
from sparkopt.study.journal import name_of
from sparkopt.study.search_summary import FinishedTrial, SearchSummary
from sparkopt.tracking.study_description import RunNames, StudyDescription
from sparkopt.tracking.tracking_settings import Tracking
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.installed_versions import version_of

if TYPE_CHECKING:
    from sparkopt.hyperopt.documents import Document
    from sparkopt.hyperopt.fmin_options import Options
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.study.journal import SearchJournal
    from sparkopt.study.listener import Listener

_LOG: Final = ActorLog("tracking")

NAMES: Final = RunNames("hyperoptAutoTracking", "fmin_uuid", "fmin", "loss")
"""As existing queries and dashboards know such searches."""

_PACKAGES: Final = ("sparkopt", "hyperopt", "pyspark")


@contextmanager
def tracked(
    trials: SparkTrials,
    domain: base.Domain,
    options: Options,
    rstate: np.random.Generator,
    journal: SearchJournal | None,
    shows_elsewhere: Callable[[int], bool] = lambda left: False,
) -> Iterator[Listener]:
    """Track a study from its first trial to its end, which is when everything is written.

    Args:
        trials: have the limits, and know at the end how the search went.
        domain: the space.
        options: what ``fmin`` was told.
        rstate: where the seeds come from.
        journal: of the study, if it has one. A trial ends in MLflow only once the journal holds it.
        shows_elsewhere: shows how many records are still to be written at the end, where the search is shown;
            returns whether it does.

    Yields:
        The listener that tracks the study's trials.

    Raises:
        TrackingError: at the start, if MLflow or the tracking store cannot be used.
    """
    from sparkopt.tracking.recorded_study import recorded

    space = ReadableSpace(domain.expr)
    description = StudyDescription(
        f"fmin {_short_name(domain.fn)} {_short_name(options.algo)}",
        _params(trials, options, rstate),
        _tags(),
        space,
        NAMES,
        trials.parallelism,
        until_kept=(lambda: None) if journal is None else journal.until_kept,
        logs_values=trials.metric is None,
    )
    with recorded(
        description,
        trials.tracking if isinstance(trials.tracking, Tracking) else Tracking(),
        lambda: _summary_of(trials, space),
        shown=options.verbose and bool(options.show_progressbar),
        shows_elsewhere=shows_elsewhere,
    ) as tracker:
        yield tracker


def _short_name(function: Any) -> str:
    """A function in a word, for people: hyperopt's ``tpe.suggest`` is ``tpe``."""
    while isinstance(function, functools.partial):
        function = function.func
    name = str(getattr(function, "__name__", None) or type(function).__name__)
    return str(function.__module__).rpartition(".")[2] if name == "suggest" else name


def _params(trials: SparkTrials, options: Options, rstate: np.random.Generator) -> dict[str, Any]:
    generator: Any = rstate.bit_generator
    seeds = getattr(generator, "seed_seq", None) or generator._seed_seq  # the name before NumPy 1.25
    return {
        "algo": name_of(options.algo),
        "max_evals": options.max_evals,
        "max_queue_len": options.max_queue_len,
        "parallelism": trials.user_specified_parallelism,
        "actual_parallelism": trials.parallelism,
        "timeout": trials.timeout,
        "loss_threshold": options.loss_threshold,
        "seed": getattr(seeds, "entropy", None),
    }


def _tags() -> dict[str, str]:
    versions = {f"version.{package}": version_of(package) for package in _PACKAGES}
    return {**versions, "version.python": platform.python_version()}


def _summary_of(trials: SparkTrials, space: ReadableSpace) -> SearchSummary:
    counts = {
        "successful": trials.count_successful_trials(),
        "failed": trials.count_failed_trials(),
        "cancelled": trials.count_cancelled_trials(),
        "total": trials.count_total_trials(),
    }
    if (pruned := trials.count_pruned_trials()) or trials.pruner is not None:
        counts["pruned"] = pruned
    try:
        best = _finished(trials.best_trial)
    except AllTrialsFailed:
        return SearchSummary(counts)  # no trial has a loss
    documents = {"best_trial.json": lambda: _best_document(trials, best, space)}
    return SearchSummary(
        counts,
        best,
        documents,
        lambda: (trials.described(), trials.described_space().dimensions.values()),
    )


def _best_document(trials: SparkTrials, best: FinishedTrial, space: ReadableSpace) -> dict[str, Any]:
    point = None
    try:
        point = trials.best_params
    except Exception as error:  # noqa: BLE001 - the space, which is the user's, cannot make its best point again
        _LOG.warning("best point is not recorded", error)
    return {
        "tid": best.tid,
        "loss": best.loss,
        "values": space.values(best.values),
        "argmin": dict(best.values),
        "point": point,
    }


def _finished(document: Document) -> FinishedTrial:
    loss = document["result"].get("loss")
    numeric = isinstance(loss, (int, float, np.number)) and not isinstance(loss, (bool, np.bool_, complex))
    values = DrawnValues(document["misc"]["vals"])
    return FinishedTrial(document["tid"], float(loss) if numeric else None, values)
