"""optuna-dashboard on a storage in memory, as a WSGI application."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from typing import Any

from optuna.storages import BaseStorage, InMemoryStorage

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


def new_storage() -> InMemoryStorage:
    """An empty storage."""
    return InMemoryStorage()


def plots_application(storage: BaseStorage) -> Application:
    """optuna-dashboard on a storage. It has no guard of its own, and whoever reaches it may write.

    Raises:
        ModuleNotFoundError: if it is not installed.
    """
    try:
        from optuna_dashboard import wsgi
    except ModuleNotFoundError as error:
        if error.name != "optuna_dashboard":
            raise
        raise ModuleNotFoundError(
            f"a dashboard needs optuna-dashboard, and {sys.executable} has none: pip install"
            " 'sparkopt[dashboard]'",
            name="optuna_dashboard",
        ) from None
    application: Application = wsgi(storage)
    return application
