"""A module that is loaded when somebody looks for something in it, except for what is offered in its place.

    import m ──▶ the module, empty ── m.offered ──▶ what is offered
                                   └─ m.other ────▶ it is loaded, and an ordinary module from then on

Whoever has imported it keeps it: it is the same object before and after.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import ModuleType
from typing import Any, Final, TypeAlias

Offer: TypeAlias = Callable[[str], Any]
"""Returns what is offered by a name, or None."""

_DEFERRAL: Final = "__sparkopt_deferral__"

_LOADING_SECONDS: Final = 60.0
"""Seconds for which a thread waits for another one that loads the module. The other may itself wait for an
import of the first thread. Python notices that for its own locks only, and not for this one."""


class _Deferral:
    """A module's loading, which is still to come.

    Args:
        offer: see :data:`Offer`.
        execute: loads the module.
    """

    def __init__(self, offer: Offer, execute: Callable[[], None]) -> None:
        self.offer = offer
        self.begun = False
        self._execute = execute
        self._lock = threading.RLock()

    def load(self, module: ModuleType) -> None:
        """Load the module, or wait for another thread that does so. Nothing in the thread that does."""
        acquired = self._lock.acquire(timeout=_LOADING_SECONDS)
        try:
            if self.begun:
                return
            self.begun = True
            try:
                self._execute()
            except BaseException:
                self.begun = False
                raise
            module.__class__ = ModuleType
            vars(module).pop(_DEFERRAL, None)
        finally:
            if acquired:
                self._lock.release()


class _DeferredModule(ModuleType):
    def __getattr__(self, name: str) -> Any:
        deferral = vars(self).get(_DEFERRAL)
        if deferral is not None:
            if not deferral.begun and (offered := deferral.offer(name)) is not None:
                return offered
            deferral.load(self)
        if is_deferred(self):  # it is being loaded
            raise AttributeError(f"partially initialized module {self.__name__!r} has no attribute {name!r}")
        return getattr(self, name)

    def __setattr__(self, name: str, value: object) -> None:
        self._load_unless_begun()
        ModuleType.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> None:
        self._load_unless_begun()
        ModuleType.__delattr__(self, name)

    def __dir__(self) -> list[str]:
        load(self)
        return list(ModuleType.__dir__(self))

    def _load_unless_begun(self) -> None:
        deferral = vars(self).get(_DEFERRAL)
        if deferral is not None and not deferral.begun:
            deferral.load(self)


def defer(module: ModuleType, offer: Offer, execute: Callable[[], None]) -> None:
    """Put off the loading of a module.

    Args:
        module: the module, empty.
        offer: returns what is there without it, by its name; None for what is not.
        execute: loads the module.
    """
    vars(module)[_DEFERRAL] = _Deferral(offer, execute)
    module.__class__ = _DeferredModule


def is_deferred(module: ModuleType) -> bool:
    """Returns whether a module is still to be loaded, or is being loaded."""
    return _DEFERRAL in vars(module)


def load(module: ModuleType) -> bool:
    """Load a module whose loading was put off.

    Returns:
        Whether this has loaded it.
    """
    deferral = vars(module).get(_DEFERRAL)
    if deferral is None or deferral.begun:
        return False
    deferral.load(module)
    return True
