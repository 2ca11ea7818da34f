"""Evaluation from outside: an objective that runs on the points that clients send.

WorkerPool.open_evaluation ──▶ Prepared: objective pickled, space checked ──▶ Evaluation ──▶ control room
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sparkopt.control.evaluations import EvaluatedStudy
from sparkopt.errors import PoolClosedError, RefusedError, SparkoptError, UnsupportedArgumentError
from sparkopt.hyperopt.objective import CONVENTION
from sparkopt.spark.preflight import pickle_objective
from sparkopt.wire import codec
from sparkopt.wire.arguments import WHOLE, check_flag, check_limit, check_objective, check_whole
from sparkopt.worker.outside import OutsideObjective

if TYPE_CHECKING:
    from sparkopt.control import ControlServer
    from sparkopt.coordinator import Coordinator
    from sparkopt.hyperopt.space import Space
    from sparkopt.spark.session import Session


@dataclass(frozen=True, slots=True)
class Prepared:
    """An objective that was checked, and is ready to be evaluated.

    Attributes:
        objective: pickled, such that its results come home as JSON.
        argument: makes its pickled argument of a point.
        trial_timeout: seconds that a trial may take; None for any.
        max_attempts: how many workers a trial may take down.
    """

    objective: bytes
    argument: Callable[[Mapping[str, Any]], bytes]
    trial_timeout: float | None
    max_attempts: int

    @classmethod
    def of(
        cls,
        session: Session,
        fn: Callable[[Any], Any],
        space: Any,
        trial_timeout: float | None,
        max_attempts: int,
    ) -> Prepared:
        """Check what is to be evaluated.

        Raises:
            RefusedError: if something rules it out.
        """
        check_objective(fn, space is not None and getattr(fn, "fmin_pass_expr_memo_ctrl", False))
        trial_timeout = check_limit("trial_timeout", trial_timeout)
        max_attempts = check_whole("max_attempts", max_attempts, WHOLE, least=1)
        argument = codec.dumps if space is None else _argument_in(_space(fn, space))
        # The workers are running already: Spark brings them nothing any more.
        pickled = pickle_objective(OutsideObjective(fn, CONVENTION), session, embed_broadcasts=True)
        return cls(pickled.data, argument, trial_timeout, max_attempts)


def _space(fn: Callable[[Any], Any], space: Any) -> Space:
    from sparkopt.hyperopt.domain import domain_of
    from sparkopt.hyperopt.space import Space, wants_ctrl

    domain = domain_of(fn, space)
    if wants_ctrl(domain):
        raise UnsupportedArgumentError(
            "the objective or its space asks for hyperopt's Ctrl, and there are no trials that it could be"
            " about where points come from outside: use fmin, or an objective that takes a point"
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


class Evaluation:
    """An objective that is evaluated from outside, for as long as it is open. A context manager.

    Made by :meth:`sparkopt.WorkerPool.open_evaluation`. Everything may be called from any thread.

    Attributes:
        name: of the study, by which clients name it.
    """

    def __init__(self, coordinator: Coordinator, control: ControlServer, name: str, what: Prepared) -> None:
        self.name = name
        self._coordinator = coordinator
        self._ended = threading.Event()
        self._error: SparkoptError | None = None
        self._study: EvaluatedStudy | None = None

        def begin() -> None:
            self._study = control.evaluations.open(
                name, what.objective, what.argument, what.max_attempts, what.trial_timeout, self._has_ended
            )

        if not coordinator.post(begin):
            raise PoolClosedError("the pool was closed before the evaluation began")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has ended: until somebody has stopped it, and nothing of it runs any more.

        Args:
            timeout: seconds to wait; None for as long as it takes.

        Returns:
            Whether it has ended.

        Raises:
            PoolError: if the pool was closed, or has lost its workers.
        """
        if not self._ended.wait(check_limit("timeout", timeout) if timeout != 0 else 0):
            return False
        if self._error is not None:
            raise self._error
        return True

    def stop(self, *, finish_running: bool = False, grace: float | None = None) -> None:
        """Take no more points, and end once nothing runs. Returns at once; :meth:`wait` waits for the end.

        May be called again: ``stop()`` ends what an earlier call has let go on.

        Args:
            finish_running: let the trials that run finish; else they are cancelled.
            grace: seconds that they may take for it before they are cancelled; None for as long as it takes.
        """
        check_flag("finish_running", finish_running)
        patience = check_limit("grace", grace) if grace != 0 else 0.0

        def stop() -> None:
            if self._study is not None:
                self._study.stop(finish_running, patience)

        if not self._coordinator.post(stop):
            self._has_ended(PoolClosedError("the pool was closed while the study went on"))

    def close(self) -> None:
        """End it: what runs is cancelled. Returns when nothing of it runs any more. Idempotent."""
        self.stop()
        self._ended.wait()

    def __enter__(self) -> Evaluation:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _has_ended(self, error: SparkoptError | None) -> None:
        if not self._ended.is_set():
            self._error = error
            self._ended.set()
