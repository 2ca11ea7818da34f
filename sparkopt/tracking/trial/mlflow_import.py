"""Notice that an objective loads MLflow. That takes seconds, so nobody loads it for the objective.

    import mlflow ──▶ _Watch ──▶ _TellingLoader ─┬─▶ MLflow is loaded ──▶ those that wait for it
                                                 └─▶ its module, still empty (deferred_module.py)
    a look for more, or import mlflow.tracking ────▶ MLflow is loaded in that module ──▶ those that wait

Those that wait are called in the thread that loads MLflow.
"""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

from sparkopt.tracking.trial.deferred_module import Offer, defer, is_deferred, load

_MLFLOW: Final = "mlflow"


_waiting: list[Callable[[], None]] = []
"""Done once MLflow is loaded."""

_offer: Offer | None = None
"""Returns calls of MLflow's that are there without it, by their names; None if it is loaded at once."""


def when_loaded(do: Callable[[], None]) -> None:
    """Have something done as soon as MLflow is loaded in this process: now, if it is.

    Args:
        do: called once, by whoever loads it.
    """
    module = sys.modules.get(_MLFLOW)
    is_here = module is not None and not is_deferred(module)
    if is_here and not getattr(sys.modules[_MLFLOW].__spec__, "_initializing", False):
        do()
        return
    if not _waiting:
        sys.meta_path.insert(0, _Watch(_loaded))
    _waiting.append(do)


def load_late(offer: Offer) -> None:
    """Have MLflow loaded only when more of it is needed than a few calls, if nobody needs it earlier.

    Args:
        offer: returns those calls, by their names.
    """
    global _offer
    _offer = offer


def load_early() -> None:
    """Have MLflow loaded when it is imported, or now if it was."""
    global _offer
    _offer = None
    module = sys.modules.get(_MLFLOW)
    if module is not None:
        load(module)


def _loaded() -> None:
    for do in _waiting:
        do()
    _waiting.clear()


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
        if name.startswith(f"{_MLFLOW}.") and _MLFLOW in sys.modules:
            # Its modules are made to be loaded after it.
            if load(sys.modules[_MLFLOW]) and name in sys.modules:
                return _LoadedAlready(sys.modules[name]).spec()
            return None
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
        """As the other loader does, now or later; then say so."""
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        if _offer is None:
            self._execute(module)
        else:
            defer(module, _offer, lambda: self._execute(module))

    def _execute(self, module: ModuleType) -> None:
        with _no_collections():
            self._loader.exec_module(module)
        self._done()


class _LoadedAlready(importlib.abc.Loader):
    """Loader of a module that has been loaded while its parent was.

    Args:
        module: that module.
    """

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self._spec = module.__spec__

    def spec(self) -> importlib.machinery.ModuleSpec:
        """Returns the spec by which the import finds the module, which becomes the module's meanwhile."""
        self._module.__spec__ = importlib.machinery.ModuleSpec(self._module.__name__, self)
        return self._module.__spec__

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType:
        """The module as it is."""
        return self._module

    def exec_module(self, module: ModuleType) -> None:
        """Put back what the import has replaced."""
        module.__spec__ = self._spec


@contextlib.contextmanager
def _no_collections() -> Iterator[None]:
    """Collect no garbage meanwhile: there is next to none, and looking for it is a seventh of the work."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
