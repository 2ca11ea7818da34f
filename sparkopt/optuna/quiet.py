"""Optuna's messages of a study that nobody has asked to be told of."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import optuna

_TURN: Final = threading.Lock()


@contextmanager
def without_information() -> Iterator[None]:
    """Have Optuna write no message below a warning, such as that of a new study in memory."""
    with _TURN:
        before = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(max(before, optuna.logging.WARNING))
        try:
            yield
        finally:
            optuna.logging.set_verbosity(before)
