"""Pickled bytes that a worker has sent, in memory or in a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sparkopt.wire import codec


@dataclass(frozen=True, slots=True)
class Payload:
    """Pickled bytes, in memory or in a file.

    Attributes:
        body: the bytes, or their file.
        kept: whether the file stays when it is read.
    """

    body: bytes | Path
    kept: bool = False

    def load(self) -> Any:
        """Unpickle the bytes; once only, if they are in a file that does not stay."""
        if isinstance(self.body, bytes):
            return codec.loads(self.body)
        try:
            # Straight from the file: a large value is in memory once.
            with self.body.open("rb") as file:
                return codec.load(file)
        finally:
            self.drop()

    def drop(self) -> None:
        """Remove the file, if there is one that is not kept."""
        if isinstance(self.body, Path) and not self.kept:
            self.body.unlink(missing_ok=True)
