"""Evaluation: a study whose points clients send, as the one who has opened it holds it.

WorkerPool.open_evaluation ──▶ EvaluationSpec ──▶ Evaluation ──▶ EvaluatedStudy, on the coordinator's loop
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

from sparkopt.control.evaluations import EvaluatedStudy
from sparkopt.errors import PoolClosedError, SparkoptError
from sparkopt.wire.arguments import check_flag, check_limit

if TYPE_CHECKING:
    from sparkopt.control.server import ControlServer
    from sparkopt.coordinator import Coordinator, ObjectiveSpec


@dataclass(frozen=True, slots=True)
class EvaluationSpec:
    """An objective that was checked, and is ready to be evaluated.

    Attributes:
        objective: such that its results come home as JSON.
        argument: makes the objective's pickled argument of a point, in any thread; raises RefusedError if the
            value is not a point.
    """

    objective: ObjectiveSpec
    argument: Callable[[Mapping[str, Any]], bytes]


class Evaluation:
    """An objective that is evaluated from outside, for as long as it is open. A context manager.

    Made by :meth:`sparkopt.WorkerPool.open_evaluation`. Everything may be called from any thread.

    Attributes:
        name: of the study, by which clients name it.
    """

    def __init__(
        self, coordinator: Coordinator, control: ControlServer, name: str, spec: EvaluationSpec
    ) -> None:
        self.name = name
        self._coordinator = coordinator
        self._ended = threading.Event()
        self._error: SparkoptError | None = None
        self._study: EvaluatedStudy | None = None

        def begin() -> None:
            self._study = control.evaluations.open(name, spec.objective, spec.argument, self._has_ended)

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
            MissingModuleError: if workers lack a module that the objective needs.
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
        """End it: running trials are cancelled. Returns when nothing of it runs any more. Idempotent."""
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
