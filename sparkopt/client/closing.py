"""What a client's parts have in common: a ``with`` block closes them at its end."""

from __future__ import annotations

from typing import TypeVar

S = TypeVar("S", bound="Closing")


class Closing:
    """A context manager that is closed when its block is left."""

    def close(self) -> None:
        """End it. Idempotent."""
        raise NotImplementedError

    def __enter__(self: S) -> S:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()
