"""Notice that an objective loads MLflow. That takes seconds, so nobody loads it for the objective."""

from __future__ import annotations

import contextlib
import gc
import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Iterator, Sequence
from types import ModuleType
from typing import Any, Final

_MLFLOW: Final = "mlflow"


_waiting: list[Callable[[], None]] = []
"""Done once MLflow is loaded."""


def when_loaded(do: Callable[[], None]) -> None:
    """Have something done as soon as MLflow is loaded in this process: now, if it is.

    Args:
        do: called once, by whoever loads it.
    """
    module = sys.modules.get(_MLFLOW)
    if module is not None and not getattr(module.__spec__, "_initializing", False):
        do()
        return
    if not _waiting:
        sys.meta_path.insert(0, _Watch(_loaded))
    _waiting.append(do)


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
        with _no_collections():
            self._loader.exec_module(module)
        assert module.__spec__ is not None
        module.__spec__.loader = module.__loader__ = self._loader
        self._done()


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
