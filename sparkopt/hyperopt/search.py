"""One ``fmin`` call on :class:`~sparkopt.SparkTrials`: checked, put together, run, and its result.

Search(...)   everything that can be refused is refused here; nothing has changed or started
run()         pool ──▶ study ──▶ trials, saved now and then
result()      the best values, or the best point
close()       lets go of the journal, whatever became of the search
"""

from __future__ import annotations

import logging
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import TYPE_CHECKING, Any

import hyperopt
import numpy as np
from hyperopt import base, progress

from sparkopt.errors import AllTrialsFailedError, FailedTrialsWarning, RefusedError, warn
from sparkopt.hyperopt.advice import advise_on_parallelism
from sparkopt.hyperopt.bars import ProgressFactory
from sparkopt.hyperopt.ctrl import ControlledObjective
from sparkopt.hyperopt.documents import Document, Documents, renew
from sparkopt.hyperopt.domain import domain_of
from sparkopt.hyperopt.failures import Failures, no_loss
from sparkopt.hyperopt.fmin_options import Options, takes_expression
from sparkopt.hyperopt.inherited import InheritedDocuments
from sparkopt.hyperopt.journalled import document_of, restore, state_of
from sparkopt.hyperopt.loop import Budget, Study
from sparkopt.hyperopt.points_to_evaluate import (
    Point,
    check_asked,
    check_points,
    documents_of,
    not_among,
    values_of,
)
from sparkopt.hyperopt.result_convention import CONVENTION
from sparkopt.hyperopt.savefile import SaveFile
from sparkopt.hyperopt.space import Space, wants_ctrl
from sparkopt.hyperopt.suggest import accelerated
from sparkopt.hyperopt.tracked import tracked, wants_tracking
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.console import ConsoleProgress
from sparkopt.spark.preflight import check_settings, pickle_objective
from sparkopt.study.journal import Identity, Journal, gaps
from sparkopt.study.quarantine import Patience
from sparkopt.wire import codec
from sparkopt.wire.arguments import check_limit, check_objective, refuse_type
from sparkopt.worker.shipped import ShippedObjective

if TYPE_CHECKING:
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.spark.session import Session

_logger = logging.getLogger("sparkopt.study")
_hyperopts_logger = logging.getLogger("hyperopt-spark")
"""Logger for the messages that ``hyperopt.SparkTrials`` writes at the end of a search, in the same words."""

_UNFINISHED = (base.JOB_STATE_NEW, base.JOB_STATE_RUNNING)


class Search:
    """A search that is about to be run.

    Args:
        trials: where it puts its documents; its limits count.
        session: where it runs.
        fn: the objective.
        space: any hyperopt expression.
        options: what else ``fmin`` was told.

    Raises:
        RefusedError: if something rules the search out.
    """

    def __init__(
        self, trials: SparkTrials, session: Session, fn: Callable[..., Any], space: Any, options: Options
    ) -> None:
        self._began = time.monotonic()
        self._trials = trials
        self._session = session
        self._options = options
        check_objective(fn, takes_expression(fn, options.pass_expr_memo_ctrl))
        algo = options.algo
        if algo is None:
            refuse_type("algo", None, "callable, as hyperopt.tpe.suggest is")
        self._domain = domain_of(fn, space, options.pass_expr_memo_ctrl)
        self._space = Space(self._domain)
        self._space.check_picklable()
        points = () if options.points_to_evaluate is None else options.points_to_evaluate
        self._points = check_points(points, self._space)
        self._inherited = InheritedDocuments(trials, self._space)
        controlled = wants_ctrl(self._domain)
        shipped: Any = (
            ControlledObjective(fn, self._domain.expr, bool(self._domain.pass_expr_memo_ctrl))
            if controlled
            else fn
        )
        self._argument = _same if controlled else self._point
        self._tracks = wants_tracking(session, trials.tracking)
        if self._tracks:
            from sparkopt.tracking.trial.objective import TrackedObjective

            shipped = TrackedObjective(shipped)
        check_settings(session)
        # Workers that are running already cannot have Spark bring them anything.
        self._objective = pickle_objective(
            ShippedObjective(shipped, CONVENTION), session, embed_broadcasts=trials.pool is not None
        )
        saved = options.trials_save_file
        self._file = SaveFile(saved, trials, trials.journal) if saved != "" else None
        self._study: Study | None = None
        self._ended_before = trials.count_total_trials()
        self._own_pool: WorkerPool | None = None
        self._journal = None
        if trials.journal is not None:
            self._journal = Journal(trials.journal)
            try:
                self._journal.check(Identity.of(self._domain.expr, fn, algo))
            except BaseException:
                self._journal.close()
                raise

    def run(self) -> None:
        """Search.

        Raises:
            PoolError: if the workers do not come up, are lost or are cancelled; finished trials are kept.
            JournalError: if the journal cannot be written; finished trials are kept.
            TrackingError: before anything is launched, if the tracking store cannot be used.
            SaveFileError: if the trials cannot be saved at the end; they are kept.
        """
        trials, options, journal = self._trials, self._options, self._journal
        assert options.algo is not None
        self._inherited.complete()
        trials.refresh()
        timeout = check_limit("timeout", trials.timeout)
        deadline = None if timeout is None else self._began + timeout
        documents = Documents(trials, self._domain, self._space, Patience(deadline, trials.trial_timeout))
        rstate = np.random.default_rng() if options.rstate is None else options.rstate
        budget = Budget(
            deadline=deadline,
            loss_threshold=options.loss_threshold,
            early_stop=options.early_stop_fn,
        )
        study = self._study = Study(
            self._domain,
            accelerated(options.algo, self._domain),
            trials,
            documents,
            self._argument,
            rstate,
            budget,
            options.max_queue_len,
            save=self._file.save_if_due if self._file is not None else None,
            record=partial(self._record, rstate) if journal is not None else None,
            record_points=partial(self._record_asked, rstate),
        )
        waiting = self._take_stock(documents, study, rstate)
        ahead = budget.trials + len(waiting)
        if study.cancelled_reason is not None:
            # early_stop_fn has said so again, of what the journal had.
            self._end(study)
        elif ahead:
            if budget.trials and not documents.finished:
                # With a history the algorithm has something to learn from at once.
                advise_on_parallelism(trials.parallelism, budget.trials, options.algo)
            self._search(study, waiting, ahead, rstate)

    def _take_stock(self, documents: Documents, study: Study, rstate: np.random.Generator) -> list[Document]:
        """Find what is to be evaluated before anything is proposed, and how much may be proposed after it."""
        trials, journal, points = self._trials, self._journal, self._points
        # As hyperopt counts: the trials that are there, without those that failed. But a search that goes on
        # from a journal is one search, and has had those as well, and its points.
        history = len(trials.trials)
        wanted = sys.maxsize if self._options.max_evals is None else self._options.max_evals
        if journal is not None:
            history = self._recover(journal, documents, study, rstate)
            if history:
                wanted += len(points) + journal.asked()
                points = not_among(points, trials._dynamic_trials)
                history += len(points)
        if points:
            recorded = trials.record(documents_of(points, self._space, trials))
            if journal is not None:
                self._record(rstate, recorded)
        waiting = [document for document in trials.trials if document["state"] in _UNFINISHED]
        for document in waiting:
            renew(document)
        study.budget.trials = max(0, wanted - history)
        return waiting

    def _record(
        self, rstate: np.random.Generator, documents: Sequence[Document], asked: bool = False
    ) -> None:
        """Have the journal record documents before they are submitted."""
        assert self._journal is not None
        proposals = [(int(document["tid"]), codec.dumps(document)) for document in documents]
        self._journal.submitted(proposals, state_of(rstate), asked)

    def _record_asked(self, rstate: np.random.Generator, points: Sequence[Point]) -> list[Document]:
        """Documents of points that somebody outside has asked for, beside ``max_evals``.

        Raises:
            BadRequestError: naming the first that is no point of the space.
        """
        checked = check_asked(points, self._space)
        recorded = self._trials.record(documents_of(checked, self._space, self._trials))
        if self._journal is not None:
            self._record(rstate, recorded, asked=True)
        return recorded

    def _search(self, study: Study, waiting: list[Document], ahead: int, rstate: np.random.Generator) -> None:
        trials = self._trials
        try:
            with self._tracked(study, rstate):
                launched = time.monotonic()
                with (
                    self._console() as console,
                    self._pool(ahead, console) as pool,
                    trials.running_on(pool),
                ):
                    channel = pool.open_study(
                        self._objective.data, trials.max_attempts, trials.trial_timeout, self._journal
                    )
                    study.run(channel, waiting, pool.parallelism, launched, _progress_factory(self._options))
        except BaseException:
            if self._own_pool is not None:
                # An interrupt may have come in the place of its own end.
                self._own_pool.begin_to_close()
            self._end(study)
            if self._file is not None:
                self._file.try_to_save()
            raise
        self._end(study)
        if self._file is not None:
            self._file.save()

    def _recover(
        self, journal: Journal, documents: Documents, study: Study, rstate: np.random.Generator
    ) -> int:
        """Take in what the journal has and the trials do not, and say how many trials the journal knows.

        Raises:
            RefusedError: if the trials hold some that the journal does not know, or knows otherwise.
        """
        trials = self._trials
        entries = journal.take_entries()
        documents_there = {entry.tid: document_of(entry, journal.path) for entry in entries}
        known = {document["tid"]: values_of(document) for document in trials._dynamic_trials}
        if strangers := [
            tid
            for tid, values in known.items()
            if tid not in documents_there or values_of(documents_there[tid]) != values
        ]:
            raise RefusedError(
                f"these trials hold {len(strangers)} trials that the journal does not know: a journal has to"
                " hold the whole search. Give fmin new SparkTrials, or another journal."
            )
        new = [entry for entry in entries if entry.tid not in known]
        recorded = trials.record([documents_there[entry.tid] for entry in new]) if new else []
        trials.refresh()
        trials.give_again(gaps({entry.tid for entry in entries}))
        settled = [pair for pair in zip(recorded, new, strict=True) if pair[1].outcome is not None]
        for document, entry in sorted(settled, key=lambda pair: pair[1].place):
            if documents.recover(document, entry):
                study.hear_of_recovered()
        restore(rstate, journal.state(), journal.path)
        return len(entries)

    def _tracked(self, study: Study, rstate: np.random.Generator) -> AbstractContextManager[None]:
        if not self._tracks:
            return nullcontext()
        return tracked(self._trials, study, self._domain, self._options, rstate)

    def _console(self) -> AbstractContextManager[ConsoleProgress | None]:
        """Spark's progress bar, if this search shows one of its own."""
        shown = self._options.verbose and self._options.show_progressbar
        return ConsoleProgress(self._session) if shown else nullcontext()

    def _pool(self, ahead: int, console: ConsoleProgress | None) -> AbstractContextManager[WorkerPool]:
        """The pool that the trials were given, or one for this search alone."""
        trials = self._trials
        if trials.pool is not None:
            if console is not None:
                console.hide()
            return nullcontext(trials.pool)
        pool = WorkerPool(
            min(trials.parallelism, ahead),
            spark_session=self._session,
            resource_profile=trials.resource_profile,
            start_timeout=trials.start_timeout,
            control=trials.control,
        )
        before_launch = None if console is None else console.hide
        self._own_pool = pool.for_one_study(self._objective.broadcasts, before_launch)
        return self._own_pool

    def _end(self, study: Study) -> None:
        self._trials.take_ending(study.cancelled_reason, study.timings)
        _log_ending(self._trials)

    def close(self) -> None:
        """Let go of the journal. Idempotent."""
        if self._journal is not None:
            self._journal.close()

    def result(self, return_argmin: bool) -> Any:
        """The best trial's values by label, or the best point of the space.

        Raises:
            AllTrialsFailedError: if no trial has a result and the values are wanted.
        """
        trials = self._trials
        failures = self._study.failures if self._study is not None else Failures()
        cause = self._study.first_failure if self._study is not None else None
        best = None
        if trials.trials:
            try:
                best = trials.argmin
            except AllTrialsFailedError:
                raise no_loss(trials._dynamic_trials, failures.summary()) from cause
        elif return_argmin:
            raise self._no_result(failures) from cause
        self._warn_of(failures)
        return best if return_argmin or best is None else hyperopt.space_eval(self._domain.expr, best)

    def _warn_of(self, failures: Failures) -> None:
        if failures.count:
            ended = self._trials.count_total_trials() - self._ended_before
            warn(f"{failures.count} of {ended} trials failed: {failures.summary()}", FailedTrialsWarning)

    def _point(self, document: Document) -> Any:
        return self._space.argument(document["misc"]["vals"])

    def _no_result(self, failures: Failures) -> AllTrialsFailedError:
        message = "There are no evaluation tasks, cannot return argmin of task losses"
        trials = self._trials
        ended = trials.count_total_trials()
        if not ended:
            return AllTrialsFailedError(f"{message}: no trial was run.")
        cancelled = trials.count_cancelled_trials()
        why = f": {failures.summary()}" if failures.count else ""
        return AllTrialsFailedError(
            f"{message}: of {ended} trials {_failures(trials)} and {cancelled} were cancelled{why}. The"
            " documents of all are in trials._dynamic_trials, with each one's reason in misc['error']."
        )


def _same(document: Document) -> Document:
    return document


def _log_ending(trials: SparkTrials) -> None:
    if trials.fmin_cancelled_reason is not None:
        _hyperopts_logger.warning("fmin cancelled because of %s", trials.fmin_cancelled_reason)
        _hyperopts_logger.warning("fmin is cancelled, so new trials will not be launched.")
    _hyperopts_logger.info(
        "Total Trials: %d: %d succeeded, %d failed, %d cancelled.",
        trials.count_total_trials(),
        trials.count_successful_trials(),
        trials.count_failed_trials(),
        trials.count_cancelled_trials(),
    )
    timings = trials.timings
    _logger.log(logging.WARNING if timings.outpaced else logging.INFO, "%s", timings.summary())


def _failures(trials: SparkTrials) -> str:
    """How many failed, and how many of these are nobody's fault but the cluster's."""
    failed, lost = trials.count_failed_trials(), trials.count_lost_trials()
    return f"{failed} failed ({lost} of them lost with their workers)" if lost else f"{failed} failed"


def _progress_factory(options: Options) -> ProgressFactory:
    """What hyperopt makes of ``verbose`` and ``show_progressbar``."""
    chosen: Any = options.show_progressbar
    if not options.show_progressbar or not options.verbose:
        chosen = progress.no_progress_callback
    elif options.show_progressbar is True:
        chosen = progress.default_callback
    factory: ProgressFactory = chosen
    return factory
