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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import hyperopt
import numpy as np
from hyperopt import progress

from sparkopt.coordinator import ObjectiveSpec
from sparkopt.errors import AllTrialsFailedError, FailedTrialsWarning, warn
from sparkopt.hyperopt.advice import advise_on_parallelism
from sparkopt.hyperopt.algorithm_proposer import AlgorithmProposer, Goal
from sparkopt.hyperopt.algorithms import algorithm_for
from sparkopt.hyperopt.bars import ProgressFactory, opened_bar
from sparkopt.hyperopt.ctrl import ControlledObjective
from sparkopt.hyperopt.described import DescribedSpace
from sparkopt.hyperopt.documents import Documents
from sparkopt.hyperopt.domain import domain_of
from sparkopt.hyperopt.fmin_options import Options, takes_expression
from sparkopt.hyperopt.inherited import InheritedDocuments
from sparkopt.hyperopt.journalled import document_of
from sparkopt.hyperopt.no_loss import no_loss
from sparkopt.hyperopt.optuna_algorithm import OptunaAlgorithm
from sparkopt.hyperopt.points_to_evaluate import Point, check_points, not_among
from sparkopt.hyperopt.result_convention import CONVENTION
from sparkopt.hyperopt.savefile import SaveFile, SavingListener
from sparkopt.hyperopt.space import Space, wants_ctrl
from sparkopt.hyperopt.summary_line import summary_line
from sparkopt.hyperopt.tracked import tracked
from sparkopt.notebook import cell_output
from sparkopt.notebook.markup import counted
from sparkopt.notebook.search_cell import SearchCell
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.console import ConsoleProgress
from sparkopt.spark.preflight import pickle_objective
from sparkopt.spark.settings import setting
from sparkopt.study.failures import Failures
from sparkopt.study.first_failure import FirstFailureListener
from sparkopt.study.interruptions import InterruptionListener
from sparkopt.study.journal import Identity, dimensions_to_text, is_address, open_journal
from sparkopt.study.progress import ProgressListener
from sparkopt.study.quarantine import Patience
from sparkopt.study.study import Study
from sparkopt.study.study_spec import StopReasons, StudySpec
from sparkopt.study.unreported import UnreportedListener
from sparkopt.tracking.installed import SETTING, wants_tracking
from sparkopt.wire.arguments import check_limit, check_objective, refuse_type
from sparkopt.worker.shipped import ShippedObjective

if TYPE_CHECKING:
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.spark.session import Session
    from sparkopt.study.journal import Entry, SearchJournal
    from sparkopt.study.listener import Listener

_logger = logging.getLogger("sparkopt.study")
_hyperopts_logger = logging.getLogger("hyperopt-spark")
"""Logger for the messages that ``hyperopt.SparkTrials`` writes at the end of a search, in the same words."""

CANCELLED_BY_TIMEOUT: Final = "fmin run timeout"
CANCELLED_BY_USER: Final = "fmin run cancelled by user"
"""hyperopt's words for ``fmin_cancelled_reason``."""


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
        if isinstance(algo, OptunaAlgorithm):
            algo.check_space(self._domain)
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
        self._takes_document = controlled
        self._tracks = wants_tracking(trials.tracking, lambda: setting(session, SETTING))
        if trials.metric is not None:
            from sparkopt.tracking.trial.metric_objective import MetricObjective

            shipped = MetricObjective(shipped, trials.metric, ends_runs=not self._tracks)
        if self._tracks:
            from sparkopt.tracking.trial.objective import TrackedObjective

            shipped = TrackedObjective(shipped)
        # Workers that are running already cannot have Spark bring them anything.
        self._objective = pickle_objective(
            ShippedObjective(shipped, CONVENTION),
            session,
            embed_broadcasts=trials.pool is not None,
            ship_modules=trials.ship_modules,
            beside=self._space.sources(),
        )
        saved = options.trials_save_file
        file = None if trials.journal is None or is_address(trials.journal) else Path(trials.journal)
        self._file = SaveFile(saved, trials, file) if saved != "" else None
        self._study: Study | None = None
        self._before = Counter(trials.count_by_status())
        self._cell: SearchCell | None = None
        self._own_pool: WorkerPool | None = None
        self._journal: SearchJournal | None = None
        if trials.journal is not None:
            self._journal = open_journal(trials.journal)
            try:
                self._journal.check(Identity.of(self._domain.expr, fn, algo), self._dimensions_as_text())
            except BaseException:
                self._journal.close()
                raise

    def run(self) -> None:
        """Search.

        Raises:
            PoolError: if the workers do not come up, are lost or are cancelled; finished trials are kept.
            MissingModuleError: if workers lack a module that the objective needs; finished trials are kept.
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
        proposer = AlgorithmProposer(
            self._domain,
            self._space,
            algorithm_for(options.algo, self._domain),
            trials,
            documents,
            rstate,
            Goal(options.loss_threshold, options.early_stop_fn),
            self._takes_document,
            None if journal is None else journal.path,
        )
        entries = [] if journal is None else journal.take_entries()
        points, budget = self._take_stock(entries)
        spec = StudySpec(
            ObjectiveSpec(
                *(self._objective.shipped, trials.max_attempts, trials.trial_timeout, trials.prune_grace)
            ),
            trials=budget,
            deadline=deadline,
            ahead=options.max_queue_len,
            pruner=trials.pruner,
            mode=trials.mode,
            reasons=StopReasons(CANCELLED_BY_TIMEOUT, CANCELLED_BY_USER, "fmin ended with an error"),
        )
        study = self._study = Study(spec, proposer, journal)
        study.enqueue(proposer.unfinished(), known=True)
        if journal is not None:
            study.resume(entries)
        study.enqueue(proposer.recorded(points))
        if study.stop_reason is not None:
            # early_stop_fn has said so again, of what the journal had.
            self._end(study)
        elif budget + study.queued:
            if budget and not documents.finished:
                # With a history the algorithm has something to learn from at once.
                advise_on_parallelism(trials.parallelism, budget, options.algo)
            self._search(study, documents, budget, rstate)
        if journal is not None:
            journal.until_kept()

    def _take_stock(self, entries: Sequence[Entry]) -> tuple[Sequence[Point], int]:
        """Find which points are still to be evaluated, and how much may be proposed after that."""
        trials, points = self._trials, self._points
        # As hyperopt counts: the trials that are there, without those that failed. But a search that goes on
        # from a journal is one search, and has had those as well, and its points.
        history = len(trials.trials)
        wanted = sys.maxsize if self._options.max_evals is None else self._options.max_evals
        if self._journal is not None:
            history = len(entries)
            if history:
                wanted += len(points) + self._journal.asked()
                if points:
                    there = [document_of(entry, self._journal.path) for entry in entries]
                    points = not_among(points, there)
                history += len(points)
        return points, max(0, wanted - history)

    def _search(self, study: Study, documents: Documents, budget: int, rstate: np.random.Generator) -> None:
        trials = self._trials
        try:
            with self._tracked(rstate) as listeners:
                launched = time.monotonic()
                with (
                    self._console() as console,
                    self._pool(budget + study.queued, console) as pool,
                    trials.running_on(pool),
                ):
                    spec = study.spec
                    space = self._described_space() if pool.has_control else ()
                    channel = pool.open_study(spec.objective, self._journal, spec.name, space)
                    shown = self._shown(study, documents, budget, pool)
                    workers, most = pool.parallelism, pool.max_parallelism
                    study.run(channel, workers, launched, listeners, shown, most)
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

    @contextmanager
    def _tracked(self, rstate: np.random.Generator) -> Iterator[Sequence[Listener]]:
        if not self._tracks:
            yield ()
            return
        with tracked(
            *(self._trials, self._domain, self._options, rstate, self._journal, self._shows_writing)
        ) as tracker:
            yield (tracker,)

    def _shows_writing(self, left: int) -> bool:
        """Shows in a notebook's cell, if the search is shown there, what MLflow still has to be told."""
        if self._cell is None:
            return False
        self._cell.waits_for(f"writing to MLflow, {counted(left, 'record')} left")
        return True

    @contextmanager
    def _shown(
        self, study: Study, documents: Documents, budget: int, pool: WorkerPool
    ) -> Iterator[Sequence[Listener]]:
        """The bar, and the file that the trials are saved to now and then, for as long as it proposes."""
        more: list[Listener] = [] if self._file is None else [SavingListener(self._file)]
        if pool.elastic:
            more.append(InterruptionListener(self._trials.max_attempts))
        if self._trials.pruner is not None or self._trials.metric is not None:
            more.append(UnreportedListener(self._trials.metric))
        more.append(FirstFailureListener(study.failures))
        done = len(documents.finished)
        total = done + study.queued + budget
        said = study.failures, pool.parallelism, lambda: documents.best_loss
        if _is_shown_in_a_cell(self._options):
            self._cell = SearchCell(done, total, *said, study.spec.deadline)
            with self._cell.shown() as cell:
                yield cell, *more
            return
        with opened_bar(_progress_factory(self._options), initial=done, total=total) as bar:
            yield ProgressListener(bar, *said, elastic=pool.elastic), *more

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
            elastic=trials.elastic,
        )
        before_launch = None if console is None else console.hide
        most = min(trials.max_parallelism, ahead)
        self._own_pool = pool.for_one_study(self._objective.broadcasts, before_launch, most)
        return self._own_pool

    def _described_space(self) -> list[dict[str, Any]]:
        dimensions = DescribedSpace.of(self._domain.expr).dimensions
        return [dimension.to_plain() for dimension in dimensions.values()]

    def _dimensions_as_text(self) -> str:
        """The space's dimensions for the journal; empty if they cannot be told."""
        try:
            return dimensions_to_text(DescribedSpace.of(self._domain.expr).dimensions.values())
        except Exception as error:  # noqa: BLE001 - options are objects of the user's
            _logger.info("the journal does not describe the space: %s: %s", type(error).__name__, error)
            return ""

    def _end(self, study: Study) -> None:
        self._trials.parallelism = max(self._trials.parallelism, study.timings.workers)
        self._trials.take_ending(study.stop_reason, study.timings)
        _log_ending(self._trials)
        if self._cell is not None:
            self._cell.ended(summary_line(self._trials, self._before))

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
            ended = self._trials.count_total_trials() - self._before.total()
            warn(f"{failures.count} of {ended} trials failed: {failures.summary()}", FailedTrialsWarning)

    def _no_result(self, failures: Failures) -> AllTrialsFailedError:
        message = "There are no evaluation tasks, cannot return argmin of task losses"
        trials = self._trials
        ended = trials.count_total_trials()
        reason = trials.fmin_cancelled_reason
        early = "" if reason is None else f" The search ended early: {reason}."
        if not ended:
            if reason == CANCELLED_BY_TIMEOUT:
                early += " The start of the workers counts toward the timeout."
            return AllTrialsFailedError(f"{message}: no trial was run.{early}")
        cancelled = trials.count_cancelled_trials()
        why = f": {failures.summary()}" if failures.count else ""
        return AllTrialsFailedError(
            f"{message}: of {ended} trials {_failures(trials)} and {cancelled} were cancelled{why}.{early}"
            " The documents of all are in trials._dynamic_trials, with each one's reason in misc['error']."
        )


def _log_ending(trials: SparkTrials) -> None:
    if trials.fmin_cancelled_reason is not None:
        _hyperopts_logger.warning("fmin cancelled because of %s", trials.fmin_cancelled_reason)
        _hyperopts_logger.warning("fmin is cancelled, so new trials will not be launched.")
    pruned = trials.count_pruned_trials()
    _hyperopts_logger.info(
        "Total Trials: %d: %d succeeded, %d failed, %d cancelled%s.",
        trials.count_total_trials(),
        trials.count_successful_trials(),
        trials.count_failed_trials(),
        trials.count_cancelled_trials(),
        f", {pruned} pruned" if pruned else "",
    )
    timings = trials.timings
    _logger.log(logging.WARNING if timings.outpaced else logging.INFO, "%s", timings.summary())


def _failures(trials: SparkTrials) -> str:
    """Returns how many failed, and how many of these are nobody's fault but the cluster's."""
    failed, lost = trials.count_failed_trials(), trials.count_lost_trials()
    return f"{failed} failed ({lost} of them lost with their workers)" if lost else f"{failed} failed"


def _is_shown_in_a_cell(options: Options) -> bool:
    """Returns whether to show the search in a notebook's cell, in the place of hyperopt's own bar."""
    own = progress.default_callback is progress.tqdm_progress_callback
    return options.verbose and options.show_progressbar is True and own and cell_output.shell() is not None


def _progress_factory(options: Options) -> ProgressFactory:
    """Returns what hyperopt makes of ``verbose`` and ``show_progressbar``."""
    chosen: Any = options.show_progressbar
    if not options.show_progressbar or not options.verbose:
        chosen = progress.no_progress_callback
    elif options.show_progressbar is True:
        chosen = progress.default_callback
    factory: ProgressFactory = chosen
    return factory
