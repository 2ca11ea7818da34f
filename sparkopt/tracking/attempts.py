"""Attempts to record something: an error costs one record, and one warning at the end names such records."""

from __future__ import annotations

from types import TracebackType
from typing import Final

from sparkopt.errors import TrackingWarning, warn
from sparkopt.tracking.masking import mask

_MOST_NAMED: Final = 3


class Attempts:
    """Boundary between a study and its records: no exception in a record reaches the study.

    ``with attempts.at("trial 3"): ...`` ends its block at an exception, and notes that.

    Args:
        uri: address of the store; messages quote no secret in it.
    """

    def __init__(self, uri: str = "") -> None:
        self._uri = uri
        self._count = 0
        self._named: list[str] = []

    def at(self, what: str) -> _Attempt:
        """Return a context manager that notes exceptions of its block instead of raising them.

        Args:
            what: name of the record, in a few words.
        """
        return _Attempt(self, what)

    def note(self, what: str, why: str) -> None:
        """Note that a record was left out.

        Args:
            what: name of the record, in a few words.
            why: the reason that it could not be made.
        """
        self._count += 1
        if len(self._named) < _MOST_NAMED:
            self._named.append(f"{what}: {mask(' '.join(why.split()), self._uri)[:300]}")

    def tell(self) -> None:
        """Warn of what was left out, if anything was."""
        if self._count:
            more = f"; and {self._count - len(self._named)} more" if self._count > len(self._named) else ""
            warn(
                f"not everything could be recorded in MLflow. {'; '.join(self._named)}{more}. The search"
                " and its trials are complete.",
                TrackingWarning,
            )
            self._count = 0


class _Attempt:
    __slots__ = ("_attempts", "_what")

    def __init__(self, attempts: Attempts, what: str) -> None:
        self._attempts = attempts
        self._what = what

    def __enter__(self) -> None:
        return

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> bool:
        if not isinstance(error, Exception):
            return False  # nothing, or an interrupt of the user's
        self._attempts.note(self._what, f"{type(error).__name__}: {error}")
        return True
