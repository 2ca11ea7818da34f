"""SparkTrials: hyperopt's Trials, evaluated by workers inside Spark tasks."""

from __future__ import annotations

import os
import pickle
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import numpy as np
from hyperopt import base
from hyperopt.exceptions import InvalidTrial

from sparkopt.control import Control
from sparkopt.coordinator.channels.objective_spec import PRUNE_GRACE_SECONDS
from sparkopt.core.pruning.pruner import Pruner
from sparkopt.errors import RefusedError, SparkoptWarning, warn
from sparkopt.hyperopt.bars import ProgressFactory
from sparkopt.hyperopt.controlled_trials import ControlledTrials
from sparkopt.hyperopt.documents import Document
from sparkopt.hyperopt.fmin_options import Algorithm, EarlyStop, Options, check_loss_threshold, check_timeout
from sparkopt.hyperopt.in_notebooks import NotebookTrials, interruptible
from sparkopt.hyperopt.points_to_evaluate import Point
from sparkopt.hyperopt.proposals import said_by_hyperopt
from sparkopt.hyperopt.search import Search
from sparkopt.hyperopt.trial_results import TrialResults
from sparkopt.pool.patience import check_start_timeout
from sparkopt.pool.pool_arguments import check_pool
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.elasticity import check_elastic, decide_elastic
from sparkopt.spark.parallelism import LIMIT, check_parallelism, decide_parallelism
from sparkopt.spark.session import (
    Profile,
    Session,
    check_forks,
    check_running,
    get_session,
    is_stopped,
    supported_profile,
)
from sparkopt.study.journal import check_place, without_secrets
from sparkopt.study.pruning_rules import Mode, PruningRule, check_metric, check_mode, check_pruner
from sparkopt.study.timings import Timings
from sparkopt.tracking.tracking_settings import Tracking, check_tracking
from sparkopt.wire.arguments import WHOLE, check_limit, check_whole, hinting, refuse_type
from sparkopt.wire.modules.own_modules import check_ship_modules


class SparkTrials(NotebookTrials, ControlledTrials, TrialResults):
    """Trials of a search whose objective runs on Spark workers; a drop-in for ``hyperopt.SparkTrials``.

    The documents are hyperopt's, in every field. Trials pickle without Spark: whoever loads the pickle can
    look at them, and go on with the search in a session of their own.

    Example:
        >>> from hyperopt import hp, tpe
        >>> from sparkopt import SparkTrials, fmin
        >>> trials = SparkTrials(parallelism=2)
        >>> best = fmin(lambda x: x**2, hp.uniform("x", -1, 1), tpe.suggest, max_evals=50, trials=trials)
        >>> trials.count_successful_trials()
        50

    Args:
        parallelism: how many trials may run at once: at most 128, and at most the tasks that Spark can run
            at once. When executors join, workers are added. None or ≤ 0 means Spark's default parallelism, or
            with elastic workers the most tasks that Spark may ever run at once, if there is a limit.
        timeout: seconds after which ``fmin`` ends running trials, and returns the best of the finished ones.
        loss_threshold: a loss below this ends the search.
        spark_session: the session to use; by default the active one, or a new one.
        resource_profile: what each worker needs (a :class:`pyspark.resource.ResourceProfile` of task
            resources), where the cluster schedules by it; a warning where it does not.
        trial_timeout: seconds that one trial's objective may take; after that its process is killed and the
            trial has failed. None for no limit.
        pool: an open :class:`~sparkopt.WorkerPool` whose workers to use; by default each ``fmin`` has its
            own. Then parallelism, spark_session, resource_profile, elastic, start_timeout and control are the
            pool's.
        max_attempts: how many workers may be lost while they run a trial before it is recorded as lost.
        journal: a file that survives a crash of the driver, or an address that survives its machine as well
            (``s3://bucket/search``). The same ``fmin`` with it goes on: what had finished does not run again.
        tracking: whether to log the search to MLflow, or how, as a :class:`~sparkopt.Tracking`; None for yes,
            unless the Spark setting ``spark.databricks.mlflow.trackHyperopt.enabled`` is ``false``.
        start_timeout: seconds that the start of the workers may make no progress; None for 60.
        control: opens each search to control over gRPC, as in :class:`~sparkopt.WorkerPool`. `sparkopt watch`
            then follows it from a shell of the same user; other clients use :attr:`control_address` and
            :attr:`control_token` while it runs.
        elastic: whether workers come and go with Spark's executors, each by itself, rather than in barrier
            jobs. None for yes under dynamic allocation and on a Databricks cluster that autoscales, else no.
        ship_modules: whether your own modules that an objective imports, those outside of ``site-packages``,
            are sent to workers that lack them, as whole top-level packages. A list names more of them.
        pruner: stops trials early whose reports (:func:`sparkopt.report`) show that they will not win:
            :class:`~sparkopt.MedianStopping` for instance; or an object with the methods of
            :class:`~sparkopt.core.pruning.pruner.Pruner`. See docs/pruning.md.
        mode: ``"min"`` if the smallest of the reported values is the best, as of losses; ``"max"`` if the
            largest is.
        prune_grace: seconds that a trial may go on once it is to stop; after that its process is killed.
            None for no limit.
        metric: name of a metric whose values in MLflow, as an objective or autologging logs them, are the
            trial's reports.
        metric_is_loss: whether its last value may stand for a pruned trial's loss (``mode="max"``: negated).
        dashboard: whether to serve a page that follows each search, in a process of its own, or where, as
            ``host:port``. Its address is printed. It stays until this process ends, or
            :meth:`close_dashboard`. See docs/dashboard.md.

    Attributes:
        parallelism: how many trials may run at once, or could in the last search.
        max_parallelism: how many may when executors join.
        timings: where the time of the last search went.

    Raises:
        RefusedError: if an argument makes no sense, or inside a Spark task.
        JavaNotFoundError: if a session had to be made and there is no Java.
    """

    asynchronous = True

    _free_ids: list[int] = []  # noqa: RUF012 - never changed in place
    """Ids that the next trials get."""

    MAX_CONCURRENT_JOBS_ALLOWED = LIMIT
    """The most trials that may run at once, as ``hyperopt.SparkTrials`` calls it."""

    @hinting
    def __init__(
        self,
        parallelism: int | None = None,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        spark_session: Session | None = None,
        resource_profile: Profile | None = None,
        *,
        pool: WorkerPool | None = None,
        trial_timeout: float | None = None,
        max_attempts: int = 3,
        journal: str | os.PathLike[str] | None = None,
        tracking: bool | Tracking | None = None,
        start_timeout: float | None = None,
        control: bool | str | Control | None = None,
        ship_modules: bool | Sequence[str] = True,
        elastic: bool | None = None,
        pruner: PruningRule | Pruner | None = None,
        mode: Mode = "min",
        prune_grace: float | None = PRUNE_GRACE_SECONDS,
        metric: str | None = None,
        metric_is_loss: bool = False,
        dashboard: bool | str = False,
    ) -> None:
        super().__init__(exp_key=None, refresh=False)
        parallelism = check_parallelism(parallelism)
        check_timeout(timeout)
        loss_threshold = check_loss_threshold(loss_threshold)
        trial_timeout = check_limit("trial_timeout", trial_timeout)
        max_attempts = check_whole("max_attempts", max_attempts, WHOLE, least=1)
        tracking = check_tracking(tracking)
        if journal is not None:
            check_place(journal)
        elastic = check_elastic(elastic)
        if pool is not None:
            check_pool(
                pool,
                parallelism=parallelism,
                spark_session=spark_session,
                resource_profile=resource_profile,
                elastic=elastic,
                control=control or None,
                start_timeout=start_timeout,
            )
        self.user_specified_parallelism = parallelism
        self.start_timeout = check_start_timeout(start_timeout)
        self.timeout = timeout
        self.loss_threshold = self._own_loss_threshold = loss_threshold
        self.trial_timeout = trial_timeout
        self.max_attempts = max_attempts
        self.journal = journal
        self.tracking = tracking
        self.ship_modules = check_ship_modules(ship_modules)
        self.elastic = elastic
        self.pruner = check_pruner(pruner)
        self.mode: Mode = check_mode(mode)
        self.prune_grace = check_limit("prune_grace", prune_grace)
        self.metric, self.metric_is_loss = check_metric(metric, metric_is_loss)
        # Shared with the views of these trials that callbacks get.
        self._running, self._dashboards = [], []
        self.timings = Timings()
        self._fmin_cancelled = False
        self._fmin_cancelled_reason: str | None = None
        self._runs = {}
        self._searching = threading.Lock()
        self._session_is_given = spark_session is not None or pool is not None
        self.pool = pool
        self._open_to_control(control, dashboard)
        if pool is not None:
            self._spark: Session | None = pool.session
            self.resource_profile: Profile | None = None
            self.parallelism, self.max_parallelism = pool.parallelism, pool.max_parallelism
        else:
            self._attach(get_session(spark_session), resource_profile)
        self.refresh()

    def _attach(self, session: Session, profile: Profile | None) -> None:
        self._spark = session
        self.resource_profile = supported_profile(session, profile)
        self.parallelism, self.max_parallelism = decide_parallelism(
            *(self.user_specified_parallelism, session, self.resource_profile),
            elastic=decide_elastic(self.elastic, session),
        )

    def __str__(self) -> str:
        return f"SparkTrials(trials={self.trials})"

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        # What belongs to this process, and the space, whose parts need not pickle: its best point stands in.
        names = (
            "_spark",
            "_searching",
            "_space",
            "resource_profile",
            "pool",
            "control",
            "_running",
            "_dashboards",
        )
        for name in names:
            state.pop(name, None)  # the space is not there before the first search
        if not isinstance(self.pruner, PruningRule):
            del state["pruner"]  # one of the user's is that of a search
        state["_kept_best"] = self._best_that_pickles()
        state["_described"] = None, self.described_space()
        state["journal"] = without_secrets(self.journal)
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.start_timeout = check_start_timeout(None)  # those of version 0.1 have none
        self.ship_modules = True
        self.elastic = self.pruner = None
        self.max_parallelism = state["parallelism"]
        self.mode, self.prune_grace = "min", PRUNE_GRACE_SECONDS
        self.metric, self.metric_is_loss = None, False
        self._runs = {}
        self.__dict__.update(state)
        self._spark = None
        self._session_is_given = False
        self.resource_profile = None
        self.pool = None
        self.control = self._dashboard_listens = None
        self._running, self._dashboards = [], []
        self._searching = threading.Lock()

    def _best_that_pickles(self) -> tuple[Any] | None:
        try:
            best = (self.best_params,)
            pickle.dumps(best)
        except Exception:  # noqa: BLE001 - there is no best, or it holds what does not pickle
            return None
        return best

    # What hyperopt.SparkTrials has.

    @property
    def fmin_cancelled_reason(self) -> str | None:
        """Why the last search ended early; None if it did not."""
        return self._fmin_cancelled_reason

    def delete_all(self) -> None:
        """Forget every trial."""
        super().delete_all()
        self._fmin_cancelled = False
        self._fmin_cancelled_reason = None
        self._kept_best = None
        self._runs.clear()

    # What it does not have.

    @classmethod
    def of(cls, trials: base.Trials) -> SparkTrials:
        """Return the trials themselves if they are a :class:`SparkTrials`, else one that continues them.

        Raises:
            RefusedError: if one of them is not a trial to hyperopt. What a search cannot go on from
                otherwise, ``fmin`` refuses.
        """
        if isinstance(trials, SparkTrials):
            return trials
        if not isinstance(trials, base.Trials):
            refuse_type("trials", trials, "hyperopt's Trials")
        own = cls()
        try:
            own.insert_trial_docs(trials._dynamic_trials)
        except InvalidTrial as error:
            raise RefusedError(
                f"trials cannot be taken over, for one of them: {said_by_hyperopt(error)}"
            ) from error
        own.attachments.update(trials.attachments)
        own.refresh()
        return own

    def view(self, exp_key: Any = None, refresh: bool = True) -> SparkTrials:
        """Another view of the same documents; see :meth:`hyperopt.Trials.view`."""
        view: SparkTrials = super().view(exp_key, refresh)
        view.__dict__.update({**self.__dict__, **view.__dict__})
        return view

    def new_trial_ids(self, n: int) -> list[int]:
        """Ids that no trial has. hyperopt's own method counts, and may come to some that are taken."""
        found = self._free_ids[:n]
        self._free_ids = self._free_ids[n:]
        tid = len(self._ids)
        while len(found) < n:
            if tid not in self._ids:
                found.append(tid)
            tid += 1
        self._ids.update(found)
        return found

    def give_again(self, ids: list[int]) -> None:
        """Have the next trials get these ids: their trials were lost with a journal."""
        self._free_ids = ids

    # The study's bookkeeping: what refresh() would find, without looking through the history.

    def record(self, documents: list[Document]) -> list[Document]:
        """Take new documents in; they are visible at once.

        Raises:
            hyperopt.exceptions.InvalidTrial: if an algorithm made something else than a document.
        """
        self.insert_trial_docs(documents)
        taken: list[Document] = self._dynamic_trials[-len(documents) :]
        self._trials.extend(taken)
        return taken

    def forget_last(self, count: int) -> None:
        """Forget the documents that were recorded last."""
        del self._dynamic_trials[-count:]
        del self._trials[-count:]

    def hide(self, document: Document) -> None:
        """Remove a document that has failed or was cancelled from ``trials``."""
        # It is among the last few: as many as run at once, and those that finished meanwhile.
        for index in range(len(self._trials) - 1, -1, -1):
            if self._trials[index] is document:
                del self._trials[index]
                return

    def view_of(self, finished: list[Document]) -> SparkTrials:
        """These trials as an ``early_stop_fn`` sees them: only the finished ones, the newest last."""
        view = object.__new__(_FinishedTrials)
        view.__dict__.update(self.__dict__, _trials=finished)
        return view

    def take_ending(self, cancelled_reason: str | None, timings: Timings) -> None:
        """Note how a search has ended, and where its time went."""
        self.timings = timings
        self._fmin_cancelled = cancelled_reason is not None
        self._fmin_cancelled_reason = cancelled_reason

    def fmin(
        self,
        fn: Callable[..., Any],
        space: Any,
        algo: Algorithm | None = None,
        max_evals: int | None = None,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        max_queue_len: int = 1,
        rstate: np.random.Generator | None = None,
        verbose: bool = False,
        pass_expr_memo_ctrl: bool | None = None,
        catch_eval_exceptions: bool = False,
        return_argmin: bool = True,
        show_progressbar: bool | ProgressFactory = True,
        early_stop_fn: EarlyStop | None = None,
        trials_save_file: str | os.PathLike[str] = "",
        points_to_evaluate: Sequence[Point] | None = None,
    ) -> Any:
        """Search; see :func:`sparkopt.fmin`, which calls this, as :func:`hyperopt.fmin` does.

        ``catch_eval_exceptions`` may be given and changes nothing: a trial that fails is recorded and the
        search goes on, either way.

        Raises:
            RefusedError: before anything is launched, if something rules the search out.
            PoolError: if the workers do not come up, are lost or are cancelled; finished trials are kept.
            AllTrialsFailedError: if no trial has a loss, as :func:`sparkopt.fmin` says.
        """
        check_forks("a search on Spark")
        options = Options.of(
            algo=algo,
            max_evals=max_evals,
            timeout=timeout,
            loss_threshold=self._own_loss_threshold if loss_threshold is None else loss_threshold,
            max_queue_len=max_queue_len,
            rstate=rstate,
            verbose=verbose,
            pass_expr_memo_ctrl=pass_expr_memo_ctrl,
            catch_eval_exceptions=catch_eval_exceptions,
            return_argmin=return_argmin,
            show_progressbar=show_progressbar,
            early_stop_fn=early_stop_fn,
            trials_save_file=trials_save_file,
            points_to_evaluate=points_to_evaluate,
        )
        with interruptible(self), self._one_search():
            if self.pool is not None:
                self.pool.check_open()
            if self._spark is None or (not self._session_is_given and is_stopped(self._spark)):
                self._attach(get_session(), self.resource_profile)
            assert self._spark is not None
            check_running(self._spark)
            with closing(Search(self, self._spark, fn, space, options)) as search:
                self._take_limits(timeout, loss_threshold)
                self._space = space
                self.take_ending(None, Timings())
                search.run()
                return search.result(options.return_argmin)

    @contextmanager
    def _one_search(self) -> Iterator[None]:
        if not self._searching.acquire(blocking=False):
            raise RefusedError(
                "a search is running on these trials already: give each fmin a SparkTrials of its own"
            )
        try:
            yield
        finally:
            self._searching.release()

    def _take_limits(self, timeout: float | None, loss_threshold: float | None) -> None:
        """Limits given to fmin. Of these the timeout alone holds for later searches, as with hyperopt."""
        if loss_threshold is not None:
            self.loss_threshold = loss_threshold
        if timeout is not None:
            if self.timeout is None:
                self.timeout = timeout
            elif self.timeout != timeout:
                warn(
                    f"fmin's timeout of {timeout} s is ignored: SparkTrials has one of {self.timeout} s",
                    SparkoptWarning,
                )


class _FinishedTrials(SparkTrials):
    """A view whose ``trials`` are given."""

    def refresh(self) -> None:
        """Nothing to do: what is given is kept up to date."""


# Its public name, which is what pickles of it refer to.
SparkTrials.__module__ = "sparkopt"
