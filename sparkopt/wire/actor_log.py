"""Loggers of the actors: one each, whose messages are an event and `key=value` pairs.

docs/logging.md lists what each logger says at which level. Tokens, arguments and results are in no message.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Any, Final

from sparkopt.core.states import Lease

_CHARACTERS: Final = 1000
"""Most characters of a value in a message."""

_PLAIN: Final = re.compile(r"[^\s\"'=\\\x00-\x1f\x7f-\x9f]+")
"""Values that need no quotes."""


class ActorLog:
    """The logger of one actor.

    Where a message would be made for each trial, ask :meth:`is_on` first.

    Args:
        actor: its name; the logger is ``sparkopt.<actor>``.

    Example:
        >>> LOG = ActorLog("pool")
        >>> LOG.info("gang launched", gang=0, generation=1)  # gang launched gang=0 generation=1
    """

    def __init__(self, actor: str) -> None:
        self._logger = logging.getLogger(f"sparkopt.{actor}")

    def is_on(self, level: int) -> bool:
        """Returns whether messages of a level go anywhere; costs a look into a dictionary."""
        return self._logger.isEnabledFor(level)

    @property
    def level(self) -> int:
        """The lowest level whose messages go anywhere, by this process's settings."""
        return self._logger.getEffectiveLevel()

    def debug(self, event: str, **values: Any) -> None:
        """Log what happens for each trial, or oftener."""
        self._log(logging.DEBUG, event, values)

    def info(self, event: str, **values: Any) -> None:
        """Log what happens a few times in the life of a pool, a study or a worker."""
        self._log(logging.INFO, event, values)

    def warning(self, event: str, error: BaseException | None = None, **values: Any) -> None:
        """Log an error that nobody is told otherwise, and that leaves something undone."""
        self._log(logging.WARNING, event, values if error is None else {**values, "error": error})

    def error(self, event: str, error: BaseException, **values: Any) -> None:
        """Log an error that is a bug, with its traceback."""
        self._log(logging.ERROR, event, {**values, "error": error}, error)

    def _log(
        self, level: int, event: str, values: dict[str, Any], traceback: BaseException | None = None
    ) -> None:
        if self._logger.isEnabledFor(level):
            text = " ".join([event, *(f"{key}={_shown(value)}" for key, value in values.items())])
            # Not as a format: a value may have a percent sign.
            self._logger.log(level, "%s", text, exc_info=traceback, stacklevel=3)


def values_of(lease: Lease) -> dict[str, Any]:
    """The values that stand for an attempt in a message."""
    return {"study": lease.trial.study, "trial": lease.trial.tid, "attempt": lease.attempt}


def _shown(value: Any) -> str:
    """A value as it stands behind its key: quoted, on one line, where it is more than a word."""
    if isinstance(value, float):
        return f"{value:g}"
    text = f"{type(value).__name__}: {value}" if isinstance(value, BaseException) else str(value)
    if len(text) > _CHARACTERS:
        text = f"{text[:_CHARACTERS]}..."
    return text if _PLAIN.fullmatch(text) else json.dumps(text)
