"""An objective whose MLflow calls land in its trial's run.

    TrackedObjective.run ──▶ MLflow is loaded, or will be? ──▶ MlflowSession.begin ──▶ objective ──▶ end

Loading MLflow takes seconds, so this module does not: it waits for the objective to do so, and an objective
that does not use MLflow pays nothing. Executors import this module, and others of this room only with MLflow.
"""

from __future__ import annotations

import contextlib
import functools
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from sparkopt.worker.reports import Reporter, ReportingObjective

if TYPE_CHECKING:
    from sparkopt.tracking.trial.mlflow_session import MlflowSession

__wraps_objectives__ = True

_MLFLOW: Final = "mlflow"


@dataclass(frozen=True)
class TrackedObjective(ReportingObjective):
    """An objective whose MLflow calls land in its trial's run.

    Attributes:
        fn: the objective: a function of the argument, or one that is called with a reporter.
    """

    fn: Callable[[Any], Any] | ReportingObjective

    def run(self, argument: Any, reporter: Reporter) -> Any:
        """Evaluate the argument. Everything that it has logged is on the driver when this returns."""
        with process().trial(reporter):
            if isinstance(self.fn, ReportingObjective):
                return self.fn.run(argument, reporter)
            return self.fn(argument)

    def __reduce__(self) -> tuple[Any, ...]:
        # In this order: what the objective has imported from MLflow has to be what a trial is to find there.
        return _loaded, (_Preparation(), self.fn)


class _Preparation:
    """Unpickles to nothing, and has the process watch for MLflow by then."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _prepare, ()


def _prepare() -> None:
    process().watch()


def _loaded(_: None, fn: Callable[[Any], Any] | ReportingObjective) -> TrackedObjective:
    return TrackedObjective(fn)


@functools.cache
def process() -> Process:
    """Returns MLflow's part of this process: as MLflow's own state, it is a process's."""
    return Process()


class Process:
    """Knows whether MLflow is loaded, and which trial runs."""

    def __init__(self) -> None:
        self._watching = False
        self._session: MlflowSession | None = None
        self._reporter: Reporter | None = None

    def watch(self) -> None:
        """Take MLflow as it is loaded, or has been. Idempotent."""
        if self._watching:
            return
        self._watching = True
        module = sys.modules.get(_MLFLOW)
        if module is not None and not getattr(module.__spec__, "_initializing", False):
            self._mlflow_is_here()
        else:
            sys.meta_path.insert(0, _Watch(self._mlflow_is_here))

    @contextlib.contextmanager
    def trial(self, reporter: Reporter) -> Iterator[None]:
        """MLflow's calls land in the reporter's trial meanwhile."""
        self.watch()
        self._reporter = reporter
        if self._session is not None:
            self._session.begin(reporter)
        failed = True
        try:
            yield
            failed = False
        finally:
            self._reporter = None
            # A process that the objective has forked has nothing to end: the run is its parent's.
            if self._session is not None and not reporter.in_child:
                from sparkopt.tracking.trial.mlflow_session import tell

                try:
                    self._session.end(failed=failed)
                except BaseException as error:  # noqa: BLE001 - the result counts, whatever becomes of the log
                    tell(error)

    def _mlflow_is_here(self) -> None:
        from sparkopt.tracking.trial.mlflow_session import MlflowSession

        self._session = MlflowSession()
        if self._reporter is not None:
            self._session.begin(self._reporter)


class _Watch(importlib.abc.MetaPathFinder):
    """Lets others find MLflow, and says when it has been loaded.

    Args:
        loaded: called then.
    """

    def __init__(self, loaded: Callable[[], None]) -> None:
        self._loaded = loaded

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """The spec that the next finder has, with a loader that says when it is done."""
        if name != _MLFLOW:
            return None
        for finder in sys.meta_path:
            if finder is self or not hasattr(finder, "find_spec"):
                continue
            spec = finder.find_spec(name, path, target)
            if spec is not None and spec.loader is not None:
                spec.loader = _TellingLoader(spec.loader, self._done)
                return spec
        return None

    def _done(self) -> None:
        with contextlib.suppress(ValueError):
            sys.meta_path.remove(self)
        self._loaded()


class _TellingLoader(importlib.abc.Loader):
    """Another loader, and a word when it has executed its module."""

    def __init__(self, loader: Any, done: Callable[[], None]) -> None:
        self._loader = loader
        self._done = done

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        """As the other loader does."""
        module: ModuleType | None = self._loader.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        """As the other loader does; then say so."""
        self._loader.exec_module(module)
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._done()
