"""SparkTrials: hyperopt's Trials, evaluated by workers inside a Spark barrier job."""

from __future__ import annotations

import logging
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import hyperopt
import numpy as np
from hyperopt import base, progress

from sparkopt.errors import AllTrialsFailedError, RefusedError, SparkoptWarning, UnsupportedArgumentError
from sparkopt.pool import WorkerPool
from sparkopt.spark.parallelism import decide_parallelism
from sparkopt.spark.session import Session, get_session
from sparkopt.study import Algorithm, Budget, Document, EarlyStop, ProgressFactory, Study, Timings

_logger = logging.getLogger(__name__)


class SparkTrials(base.Trials):  # type: ignore[misc]
    """Trials of a search whose objective runs on Spark workers; a drop-in for ``hyperopt.SparkTrials``.

    The documents are hyperopt's, in every field. Bookkeeping takes constant time a trial.

    Example:
        >>> from hyperopt import hp, tpe
        >>> from sparkopt import SparkTrials, fmin
        >>> trials = SparkTrials(parallelism=2)
        >>> fmin(lambda x: x**2, hp.uniform("x", -1, 1), tpe.suggest, max_evals=50, trials=trials)

    Args:
        parallelism: how many trials may run at once: at most 128, and at most the tasks that Spark can run
            at once. None or ≤ 0 means Spark's default parallelism.
        timeout: seconds after which ``fmin`` ends what runs and returns what has finished.
        loss_threshold: a loss below this ends the search.
        spark_session: the session to use; by default the active one, or a new one.
        max_attempts: how many workers a trial may take down with it before it is recorded as failed.

    Attributes:
        parallelism: how many trials may run at once.
        timings: where the time of the last search went.

    Raises:
        RefusedError: if an argument makes no sense.
        JavaNotFoundError: if a session had to be made and there is no Java.
    """

    asynchronous = True

    def __init__(
        self,
        parallelism: int | None = None,
        timeout: float | None = None,
        loss_threshold: float | None = None,
        spark_session: Session | None = None,
        *,
        max_attempts: int = 3,
    ) -> None:
        super().__init__(exp_key=None, refresh=False)
        base.validate_timeout(timeout)
        base.validate_loss_threshold(loss_threshold)
        if max_attempts < 1:
            raise RefusedError(f"max_attempts must be at least 1, got {max_attempts}")
        self._spark = get_session(spark_session)
        self.user_specified_parallelism = parallelism
        self.parallelism = decide_parallelism(parallelism, self._spark)
        self.timeout = timeout
        self.loss_threshold = loss_threshold
        self.max_attempts = max_attempts
        self.timings = Timings()
        self._fmin_cancelled = False
        self._fmin_cancelled_reason: str | None = None
        self.refresh()

    def __str__(self) -> str:
        return f"SparkTrials(trials={self.trials})"

    @property
    def fmin_cancelled_reason(self) -> str | None:
        """Why the last search ended early; None if it did not."""
        return self._fmin_cancelled_reason

    def count_successful_trials(self) -> int:
        """How many trials finished with a result."""
        return int(self.count_by_state_unsynced(base.JOB_STATE_DONE))

    def count_failed_trials(self) -> int:
        """How many trials failed."""
        return int(self.count_by_state_unsynced(base.JOB_STATE_ERROR))

    def count_cancelled_trials(self) -> int:
        """How many trials were cancelled: by a timeout, an early stop, or the user."""
        return int(self.count_by_state_unsynced(base.JOB_STATE_CANCEL))

    def count_total_trials(self) -> int:
        """How many trials have ended, one way or another."""
        ended = [base.JOB_STATE_DONE, base.JOB_STATE_ERROR, base.JOB_STATE_CANCEL]
        return int(self.count_by_state_unsynced(ended))

    def delete_all(self) -> None:
        """Forget every trial."""
        super().delete_all()
        self._fmin_cancelled = False
        self._fmin_cancelled_reason = None

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

    def hide(self, document: Document) -> None:
        """A document has failed or was cancelled, and so is not among ``trials`` any more."""
        # It is among the last few: as many as run at once, and those that finished meanwhile.
        for index in range(len(self._trials) - 1, -1, -1):
            if self._trials[index] is document:
                del self._trials[index]
                return

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
        trials_save_file: str = "",
    ) -> Any:
        """Search; see :func:`sparkopt.fmin`, which calls this, as :func:`hyperopt.fmin` does.

        Raises:
            RefusedError: before anything is launched, if something rules the search out.
            PoolError: if the workers do not come up or are lost; finished trials are kept.
            AllTrialsFailedError: if no trial has a result and ``return_argmin`` is true.
        """
        began = time.monotonic()
        if pass_expr_memo_ctrl or getattr(fn, "fmin_pass_expr_memo_ctrl", False):
            raise _unsupported("pass_expr_memo_ctrl")
        if catch_eval_exceptions:
            raise _unsupported("catch_eval_exceptions")
        if trials_save_file:
            raise _unsupported("trials_save_file")
        _check_callable(fn, "fn")
        _check_callable(algo, "algo")
        if max_queue_len < 1:
            raise RefusedError(f"max_queue_len must be at least 1, got {max_queue_len}")
        self._take_limits(timeout, loss_threshold)
        self._fmin_cancelled = False
        self._fmin_cancelled_reason = None
        self.refresh()
        budget = Budget(
            trials=max(0, (sys.maxsize if max_evals is None else max_evals) - len(self.trials)),
            deadline=None if self.timeout is None else began + self.timeout,
            loss_threshold=self.loss_threshold,
            early_stop=early_stop_fn,
        )
        assert algo is not None
        domain = base.Domain(fn, space)
        generator = np.random.default_rng() if rstate is None else rstate
        study = Study(domain, algo, self, generator, budget, max_queue_len)
        if budget.trials:
            self._search(study, fn, budget, _progress_factory(show_progressbar, verbose))
        if return_argmin:
            if not self.trials:
                raise self._no_result(study)
            return self.argmin
        return hyperopt.space_eval(space, self.argmin) if self.trials else None

    def _take_limits(self, timeout: float | None, loss_threshold: float | None) -> None:
        """Limits given to fmin, which stay with the trials as they do with hyperopt.SparkTrials."""
        if timeout is not None:
            base.validate_timeout(timeout)
            if self.timeout is None:
                self.timeout = timeout
            elif self.timeout != timeout:
                message = f"fmin's timeout of {timeout} s is ignored: SparkTrials has one of {self.timeout} s"
                warnings.warn(message, SparkoptWarning, stacklevel=4)
        if loss_threshold is not None:
            base.validate_loss_threshold(loss_threshold)
            self.loss_threshold = loss_threshold

    def _search(
        self, study: Study, fn: Callable[..., Any], budget: Budget, progress_factory: ProgressFactory
    ) -> None:
        study.check()
        objective = WorkerPool.prepare(fn, self._spark)
        launched = time.monotonic()
        try:
            with WorkerPool(min(self.parallelism, budget.trials), self._spark, objective) as pool:
                study.run(pool.open_study(self.max_attempts), pool.size, launched, progress_factory)
        finally:
            self.timings = study.timings
            self._fmin_cancelled = study.cancelled_reason is not None
            self._fmin_cancelled_reason = study.cancelled_reason
            if self._fmin_cancelled:
                _logger.warning("fmin cancelled because of %s", self._fmin_cancelled_reason)
            _logger.info(
                "Total Trials: %d: %d succeeded, %d failed, %d cancelled.",
                self.count_total_trials(),
                self.count_successful_trials(),
                self.count_failed_trials(),
                self.count_cancelled_trials(),
            )

    def _no_result(self, study: Study) -> AllTrialsFailedError:
        message = "There are no evaluation tasks, cannot return argmin of task losses"
        ended = self.count_total_trials()
        if not ended:
            return AllTrialsFailedError(f"{message}: no trial was run.")
        failed, cancelled = self.count_failed_trials(), self.count_cancelled_trials()
        error = AllTrialsFailedError(
            f"{message}: of {ended} trials {failed} failed and {cancelled} were cancelled. The documents"
            " of all are in trials._dynamic_trials, with each one's reason in misc['error']."
        )
        error.__cause__ = study.first_failure
        return error


def _unsupported(argument: str) -> UnsupportedArgumentError:
    return UnsupportedArgumentError(f"sparkopt does not support {argument} yet; hyperopt.Trials does")


def _check_callable(value: object, name: str) -> None:
    if not callable(value):
        raise RefusedError(f"{name} must be callable, got a {type(value).__name__}")


def _progress_factory(show_progressbar: bool | ProgressFactory, verbose: bool) -> ProgressFactory:
    """What hyperopt makes of the two arguments."""
    chosen: Any = show_progressbar
    if not show_progressbar or not verbose:
        chosen = progress.no_progress_callback
    elif show_progressbar is True:
        chosen = progress.default_callback
    factory: ProgressFactory = chosen
    return factory
