"""``optimize``: an Optuna study on workers, from the check of the arguments to its last trial.

optimize ──▶ objective pickled ──▶ pool, launched if it is ours
                                    │
         Optuna's loop, n_jobs=slots ──▶ RemoteTrials.run ──▶ Study ──▶ workers
"""

from __future__ import annotations

import inspect
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import optuna
from optuna.study import StudyDirection

from sparkopt.coordinator import ObjectiveSpec
from sparkopt.errors import SparkoptError
from sparkopt.optuna.loop_arguments import loop_arguments
from sparkopt.optuna.optuna_threads import StudyThread, UncaughtErrors, run_interruptibly
from sparkopt.optuna.remote_trials import RemoteTrials
from sparkopt.optuna.returned_values import convention_of
from sparkopt.optuna.study_in_objective import check_study_in_objective
from sparkopt.optuna.tracked_study import tracked, tracks_itself
from sparkopt.optuna.versions import was_stopped
from sparkopt.optuna.worker_trial import RemoteObjective
from sparkopt.pool.pool_arguments import check_pool
from sparkopt.pool.worker_pool import WorkerPool
from sparkopt.spark.console import ConsoleProgress
from sparkopt.spark.preflight import pickle_objective
from sparkopt.spark.settings import setting
from sparkopt.study.study import Study
from sparkopt.study.study_spec import StudySpec
from sparkopt.tracking.installed import SETTING, wants_tracking
from sparkopt.tracking.tracking_settings import Tracking, check_tracking
from sparkopt.wire.arguments import (
    WHOLE,
    check_callable,
    check_limit,
    check_whole,
    hinting,
    refuse_type,
)
from sparkopt.worker.shipped import ShippedObjective

if TYPE_CHECKING:
    from collections.abc import Sequence

    from optuna.trial import BaseTrial, FrozenTrial

    from sparkopt.control.options import Control
    from sparkopt.optuna.tracked_study import StatusCounts
    from sparkopt.spark.preflight import PickledObjective
    from sparkopt.spark.session import Session
    from sparkopt.tracking.tracker import Tracker
    from sparkopt.worker.reports import ReportingObjective

_OBJECTIVE: Final = "callable with one argument, the trial"

_RUNNING: Final = threading.local()
"""The study, if any, whose trials this thread runs."""


@hinting
def optimize(
    study: optuna.Study,
    objective: Callable[[BaseTrial], float | Sequence[float]],
    n_trials: int | None = None,
    timeout: float | None = None,
    *,
    parallelism: int | None = None,
    pool: WorkerPool | None = None,
    spark_session: Session | None = None,
    catch: Iterable[type[Exception]] | type[Exception] = (),
    callbacks: Iterable[Callable[[optuna.Study, FrozenTrial], None]] | None = None,
    show_progress_bar: bool = False,
    tracking: bool | Tracking | None = None,
    trial_timeout: float | None = None,
    max_attempts: int = 3,
    control: bool | str | Control | None = None,
    elastic: bool | None = None,
    gc_after_trial: bool = False,
) -> None:
    """Optimize an objective with an Optuna study, on Spark workers.

    This is :meth:`optuna.study.Study.optimize`, with the same meaning of its arguments, but the objective
    runs on workers. Study, sampler, pruner, storage and callbacks stay in this process. With one trial at a
    time, the study proceeds as in Optuna alone; with several, as with Optuna's ``n_jobs``.

    A trial fails if it takes longer than ``trial_timeout``, its process dies, its workers are lost, or a
    client of the control service cancels it; the study goes on.

    Example:
        >>> import optuna
        >>> study = optuna.create_study()
        >>> sparkopt.optuna.optimize(
        ...     study, lambda trial: (trial.suggest_float("x", -5, 5) - 1) ** 2, n_trials=100, parallelism=4
        ... )
        >>> list(study.best_params)
        ['x']

    Args:
        study: any study: new or not, with one objective or several.
        objective: a function of the trial. On a worker it gets a trial with the whole interface of
            :class:`optuna.trial.BaseTrial`, and a ``study`` that has its name, directions and ``stop()``.
        n_trials: how many trials to run; None for no limit.
        timeout: seconds after which no more trials start; running trials go on.
        parallelism: how many trials may run at once; at most 128, and at most Spark's slots. None or ≤ 0
            means Spark's default.
        pool: an open :class:`~sparkopt.WorkerPool` to use; None for one of the study's own.
        spark_session: where the workers run; by default the active session, or a new one.
        catch: exceptions of the objective after which the study goes on. One that cannot be pickled arrives
            as an :class:`~sparkopt.errors.ObjectiveError`.
        callbacks: called in this process after each trial, with the study and the trial.
        show_progress_bar: whether to show Optuna's progress bar.
        tracking: whether to log the study to MLflow, or how, as a :class:`~sparkopt.Tracking`; None for yes,
            unless the Spark setting ``spark.databricks.mlflow.trackHyperopt.enabled`` is ``false``, or
            ``callbacks`` has optuna-integration's MLflowCallback, which logs the same trials.
        trial_timeout: seconds that a trial may take before it is killed and fails; None for no limit.
        max_attempts: how many workers may be lost while they run a trial before it fails.
        control: opens the pool to control over gRPC; see :class:`~sparkopt.WorkerPool`.
        elastic: whether each worker comes and goes by itself; see :class:`~sparkopt.WorkerPool`.
        gc_after_trial: whether to collect garbage in this process after each trial.

    Raises:
        RefusedError: before anything is launched, if something rules the study out.
        TrackingError: before anything is launched, if the tracking store cannot be used.
        PoolError: if the workers do not come up, are lost or are cancelled; trials that are running fail.
        MissingModuleError: if workers lack a module that the objective needs, such as Optuna.
        Exception: what the objective raises, unless ``catch`` has its class, and what callbacks, sampler,
            pruner and storage raise.
        SparkoptError: with several workers, if one of the last trials did not begin because the sampler or
            storage raised an error. Optuna drops the errors of as many last trials as there are workers; one
            that is raised after such a trial has begun goes unnoticed.
    """
    if not isinstance(study, optuna.Study):
        refuse_type("study", study, "a study of Optuna's, as optuna.create_study() makes it")
    check_callable("objective", objective, _OBJECTIVE, None)
    if inspect.isgeneratorfunction(objective):
        refuse_type("objective", objective, _OBJECTIVE, "with `yield` in it, it returns no value: return it")
    check_study_in_objective(objective, study)
    loop = loop_arguments(
        *(n_trials, timeout, catch, callbacks),
        gc_after_trial=gc_after_trial,
        show_progress_bar=show_progress_bar,
    )
    n_trials = loop["n_trials"]
    trial_timeout = check_limit("trial_timeout", trial_timeout)
    max_attempts = check_whole("max_attempts", max_attempts, WHOLE, least=1)
    tracking = check_tracking(tracking)
    if getattr(_RUNNING, "study", None) is study:
        raise RuntimeError("a callback cannot optimize the study that it is called for")
    if pool is not None:
        theirs = {"parallelism": parallelism, "spark_session": spark_session, "elastic": elastic}
        check_pool(pool, control=control, **theirs).check_open()
    own = None
    if pool is None:
        own = WorkerPool(parallelism, spark_session=spark_session, control=control, elastic=elastic)
    workers = own or pool
    assert workers is not None
    session = workers.session
    signs = tuple(-1 if each is StudyDirection.MAXIMIZE else 1 for each in study.directions)
    shipped: ReportingObjective = RemoteObjective(
        objective, study.study_name, tuple(each.name for each in study.directions)
    )
    tracks = not (tracking is None and tracks_itself(loop["callbacks"])) and wants_tracking(
        tracking, lambda: setting(session, SETTING)
    )
    if tracks:
        from sparkopt.tracking.trial.objective import TrackedObjective

        shipped = TrackedObjective(shipped)
    pickled = pickle_objective(
        ShippedObjective(shipped, convention_of(signs)), session, embed_broadcasts=own is None
    )
    if n_trials == 0:
        study.optimize(objective, **loop)  # which checks the rest, and runs nothing
        return
    spec = StudySpec(
        ObjectiveSpec(pickled.shipped, max_attempts, trial_timeout), trials=n_trials, may_idle=True
    )
    with ExitStack() as stack:
        heard: tuple[Tracker, StatusCounts] | None = None
        if tracks:
            at_once = workers.parallelism
            params = {
                "n_trials": n_trials,
                "timeout": timeout,
                "parallelism": parallelism,
                "actual_parallelism": at_once if n_trials is None else min(at_once, n_trials),
            }
            settings = replace(tracking if isinstance(tracking, Tracking) else Tracking(), metrics=None)
            heard = stack.enter_context(tracked(study, params, at_once, settings, shown=show_progress_bar))
        console = stack.enter_context(_console(own, show_progress_bar))
        opened = stack.enter_context(_opened(pool, own, pickled, console, n_trials))
        _run(study, spec, signs, opened, loop, heard)


def _run(
    study: optuna.Study,
    spec: StudySpec,
    signs: tuple[int, ...],
    pool: WorkerPool,
    loop: dict[str, Any],
    heard: tuple[Tracker, StatusCounts] | None,
) -> None:
    """Run Optuna's loop on a pool, and the study that has its trials run beside it."""
    jobs = pool.parallelism if spec.trials is None else min(pool.parallelism, spec.trials)
    channel = pool.open_study(spec.objective, directions=[each.name.lower() for each in study.directions])
    trials = RemoteTrials(signs, channel, None if heard is None else heard[0].amended)
    beside = StudyThread(Study(spec, trials), channel, pool, trials.close, heard or ())
    raised = UncaughtErrors(loop["catch"])

    begun: list[int] = []

    def run(trial: optuna.Trial) -> Any:
        _RUNNING.study = study
        begun.append(trial.number)
        return trials.run(trial)

    arguments = {**loop, "callbacks": [raised.noting(callback) for callback in loop["callbacks"]]}

    def optimize() -> None:
        study.optimize(raised.noting(run, raised.catch), n_jobs=jobs, **arguments)
        raised.check()
        if jobs > 1:
            _check_begun(study, loop, len(begun))

    beside.start()
    try:
        if jobs == 1:
            optimize()
        else:
            run_interruptibly(optimize, beside.cancel)
    except BaseException as error:
        beside.cancel()
        beside.join()
        if isinstance(error, Exception) and beside.error is not None and beside.error is not error:
            raise beside.error from error
        raise
    finally:
        _RUNNING.study = None
        trials.end()
        beside.join()
    if beside.error is not None:
        raise beside.error


def _check_begun(study: optuna.Study, loop: Mapping[str, Any], begun: int) -> None:
    """Raise an error if trials did not begin, although nothing has ended the loop.

    Raises:
        SparkoptError: saying how many.
    """
    if loop["n_trials"] is None or loop["timeout"] is not None or was_stopped(study):
        return
    if missing := loop["n_trials"] - begun:
        raise SparkoptError(
            f"{missing} of {loop['n_trials']} trials did not begin: the study's sampler or storage raised"
            " an error, which Optuna does not keep if several trials run at once. parallelism=1 shows it."
        )


def _console(own: WorkerPool | None, shown: bool) -> AbstractContextManager[ConsoleProgress | None]:
    """Spark's progress bar, to be hidden, as it would overwrite Optuna's; no-op if Optuna shows none."""
    return ConsoleProgress(own.session) if shown and own is not None else nullcontext()


@contextmanager
def _opened(
    given: WorkerPool | None,
    own: WorkerPool | None,
    objective: PickledObjective,
    console: ConsoleProgress | None,
    n_trials: int | None,
) -> Iterator[WorkerPool]:
    """The pool that was given, or the study's own, with no more workers than there are trials."""
    if own is None:
        assert given is not None
        yield given
        return
    if n_trials is not None:
        own.parallelism = min(own.parallelism, n_trials)
    own.max_parallelism = own.parallelism  # as many as Optuna's loop has threads
    hide = None if console is None else console.hide
    with own.for_one_study(objective.broadcasts, hide) as opened:
        yield opened
