"""WorkerPool as users know it: one that also evaluates an objective over a space of hyperopt's.

WorkerPool.open_evaluation ──▶ objective pickled, space checked ──▶ EvaluationSpec ──▶ Evaluation
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sparkopt.control.evaluation import Evaluation, EvaluationSpec
from sparkopt.coordinator import ObjectiveSpec
from sparkopt.errors import RefusedError, UnsupportedArgumentError
from sparkopt.hyperopt.result_convention import CONVENTION
from sparkopt.notebook.markup import counted
from sparkopt.notebook.pool_html import pool_html
from sparkopt.pool import worker_pool
from sparkopt.pool.pool_view import WorkerView, workers_of
from sparkopt.spark.preflight import pickle_objective
from sparkopt.wire import codec
from sparkopt.wire.arguments import WHOLE, check_limit, check_objective, check_whole, hinting
from sparkopt.wire.modules.own_modules import check_ship_modules
from sparkopt.worker.outside import OutsideObjective

if TYPE_CHECKING:
    from sparkopt.hyperopt.space import Space
    from sparkopt.spark.session import Session


class WorkerPool(worker_pool.WorkerPool):
    """Workers in the tasks of Spark jobs, which run the trials of one search or of several.

    They start with the ``with`` block and are gone at its end.

    Example:
        >>> with WorkerPool(parallelism=4) as pool:
        ...     best = fmin(objective, space, max_evals=100, trials=SparkTrials(pool=pool))
        ...     refined = fmin(objective, hp.normal("x", best["x"], 0.1), max_evals=100,
        ...                    trials=SparkTrials(pool=pool))

    Args:
        parallelism: how many trials may run at once, over all searches, and how many workers there are: at
            most 128, and at most the tasks that Spark can run at once. When executors join, workers are
            added. None or ≤ 0 means Spark's default parallelism, or with elastic workers the most tasks that
            Spark may ever run at once, if there is a limit.
        spark_session: the session to use; by default the active one, or a new one.
        resource_profile: what each worker needs; see :class:`~sparkopt.SparkTrials`.
        gang_size: how many workers share a barrier job. Spark ends a barrier job as a whole, so that with a
            lost executor every trial of its gang runs again, and only these. None for one gang.
        policy: all limits and waits, as a :class:`sparkopt.core.records.Policy`; None for its defaults.
        heartbeat: seconds between a worker's heartbeats.
        grace: seconds that a worker may be out of reach before its trial runs again elsewhere; at least three
            heartbeats. None for the policy's, which is 30.
        start_timeout: seconds that the start of workers may make no progress: Spark starts no task, and no
            worker joins. After five times as many seconds without a worker, the start has failed in any case.
            None for the policy's, which is 60.
        control: opens the pool to control over gRPC: where to listen, as ``host:port`` or as a
            :class:`~sparkopt.Control` with further settings; True for a free port of this host. Files that
            it names are read, or made, at once.
        elastic: whether each worker has a Spark job of its own, and comes and goes with trials and executors;
            otherwise workers share barrier jobs. None for yes under dynamic allocation and on a Databricks
            cluster that autoscales, else no.
        idle_seconds: seconds after which an elastic worker without a trial leaves; None for 60.

    Attributes:
        parallelism: how many trials may run at once. It rises when executors join.
        max_parallelism: how high it may rise.
        elastic: whether workers come and go.

    Raises:
        RefusedError: if an argument makes no sense, a Spark setting rules out what was asked for, or this is
            a Spark task.
        JavaNotFoundError: if a session had to be made and there is no Java.
    """

    def look(self) -> Sequence[WorkerView]:
        """Returns the workers that are there; none outside of the ``with`` block."""
        return workers_of(self._coordinator) if self.is_open and self._coordinator is not None else ()

    def _repr_html_(self) -> str:
        workers = self.look()
        busy = sum(each.runs != "" for each in workers)
        facts = [
            f"parallelism {self.parallelism}"
            + (f" of {self.max_parallelism}" if self.max_parallelism > self.parallelism else ""),
            "elastic" if self.elastic else "",
            f"{counted(len(workers), 'worker')}, {busy} busy" if self.is_open else "",
        ]
        rows = [(each.name, each.host, each.state, each.runs) for each in workers]
        return pool_html("open" if self.is_open else "not open", facts, rows)

    @hinting
    def open_evaluation(
        self,
        fn: Callable[[Any], Any],
        space: Any = None,
        *,
        trial_timeout: float | None = None,
        max_attempts: int = 3,
        name: str | None = None,
        ship_modules: bool | Sequence[str] = True,
    ) -> Evaluation:
        """Have the workers evaluate an objective on the points that clients of the control service send.

        Example:
            >>> with WorkerPool(4, control=True) as pool, pool.open_evaluation(objective, space):
            ...     with ControlClient(pool.control_address, token=pool.control_token) as client:
            ...         for evaluation in client.evaluate([{"x": 3.0}]):
            ...             print(evaluation.loss)
            4.0

        The objective's result goes to the client as JSON: numbers, text, lists and dictionaries; numpy's
        scalars and arrays become numbers and lists. The trial's loss is the number that was returned, or the
        one in hyperopt's dictionary. Nothing is logged to MLflow.

        Args:
            fn: the objective. Without a space it gets the point, a dictionary.
            space: any hyperopt expression. A client names a point by a value for each label that is active in
                it, and for ``hp.choice`` the index of the option; the objective gets what the space makes of
                that, as with ``fmin``.
            trial_timeout: seconds that a trial may take before it is killed and fails; None for no limit.
            max_attempts: how many workers may be lost while they run a trial before it is recorded as lost.
            name: of the study, unique within the pool: letters, digits and ``_.-``. By default a new one.
            ship_modules: as of :class:`~sparkopt.SparkTrials`.

        Raises:
            RefusedError: if the pool has no control service, or something rules the objective out.
            PoolClosedError: outside of the ``with`` block.
        """
        self.check_evaluates()
        spec = evaluation_of(self.session, fn, space, trial_timeout, max_attempts, ship_modules)
        return self.evaluate(spec, name)


def evaluation_of(
    session: Session,
    fn: Callable[[Any], Any],
    space: Any,
    trial_timeout: float | None,
    max_attempts: int,
    ship_modules: bool | Sequence[str],
) -> EvaluationSpec:
    """Check what is to be evaluated.

    Raises:
        RefusedError: if something rules it out.
    """
    check_objective(fn, space is not None and getattr(fn, "fmin_pass_expr_memo_ctrl", False))
    trial_timeout = check_limit("trial_timeout", trial_timeout)
    max_attempts = check_whole("max_attempts", max_attempts, WHOLE, least=1)
    modules = check_ship_modules(ship_modules)
    checked = None if space is None else _space(fn, space)
    argument = codec.dumps if checked is None else _argument_in(checked)
    # The workers are running already: Spark brings them nothing now.
    pickled = pickle_objective(
        OutsideObjective(fn, CONVENTION),
        session,
        embed_broadcasts=True,
        ship_modules=modules,
        beside=() if checked is None else checked.sources(),
    )
    return EvaluationSpec(ObjectiveSpec(pickled.shipped, max_attempts, trial_timeout), argument)


def _space(fn: Callable[[Any], Any], space: Any) -> Space:
    from sparkopt.hyperopt.domain import domain_of
    from sparkopt.hyperopt.space import Space, wants_ctrl

    domain = domain_of(fn, space)
    if wants_ctrl(domain):
        raise UnsupportedArgumentError(
            "the objective or its space asks for hyperopt's Ctrl, which is about the trials of a search, and"
            " points from outside have none: use fmin, or an objective that takes a point"
        )
    checked = Space(domain)
    checked.check_picklable()
    return checked


def _argument_in(space: Space) -> Callable[[Mapping[str, Any]], bytes]:
    """Makes arguments of the points of a space."""

    def argument(values: Mapping[str, Any]) -> bytes:
        made = space.argument_of(values)
        try:
            return codec.dumps(made)
        except Exception as error:
            raise RefusedError(
                f"becomes {made!r}, which cannot be sent to workers ({type(error).__name__}: {error})"
            ) from error

    return argument
