"""Base class of a client's parts: a ``with`` block closes them at its end."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TypeVar

S = TypeVar("S", bound="Closing")


class Closing(ABC):
    """A context manager that is closed when its block is left."""

    @abstractmethod
    def close(self) -> None:
        """End it. Idempotent."""

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
