"""Names of a pool's studies, each unique within it. Any thread may ask."""

from __future__ import annotations

import itertools
import re
import threading
from typing import Final

from sparkopt.errors import RefusedError

_NAME: Final = re.compile(r"[\w.-]{1,100}", re.ASCII)
"""What a study may be called."""


class StudyNames:
    """The names that the studies of a pool have, or have had."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self._names: set[str] = set()
        self._lock = threading.Lock()

    def new(self, name: str | None = None) -> str:
        """A study's name: this one, or one that no study of the pool has.

        Raises:
            RefusedError: if the name is not one, or is taken.
        """
        with self._lock:
            if name is None:
                name = next(name for name in map("study{}".format, self._numbers) if name not in self._names)
            elif not isinstance(name, str) or not _NAME.fullmatch(name):
                raise RefusedError(f"name must be 1 to 100 letters, digits or any of `_.-`, got {name!r}")
            elif name in self._names:
                raise RefusedError(f"this pool has had a study {name!r} already: give this one another name")
            self._names.add(name)
        return name
