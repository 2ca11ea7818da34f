"""Names and texts that MLflow takes, for whatever a space or a result calls its values."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from typing import Final

from sparkopt.tracking import versions

KEY_CHARACTERS: Final = 250
"""MLflow's limit for the names of metrics, parameters and tags."""

VALUE_CHARACTERS: Final = 5000
"""Most characters of a value that are kept. MLflow's own limits are a little higher."""

_SIGNS: Final = frozenset("_-. :" if versions.TAKES_COLONS else "_-. ")
_PREFIX: Final = "result."
_DIGITS: Final = 6
_MOST: Final = 10_000
"""Number of names that are remembered. A later name gets a digest if it had to be changed."""


class Names:
    """A name in MLflow for each name of a user's, always the same one in a search, and never one for two.

    Stores take some names for the same: without regard to case, or to slashes that mean nothing in a path.
    May be used from any thread.

    Args:
        ours: what we record ourselves; a user's value of such a name is found under ``result.<name>``.
    """

    def __init__(self, ours: Iterable[str] = ()) -> None:
        self._ours = frozenset(ours)
        self._lock = threading.Lock()
        self._known: dict[str, str] = {}
        self._taken = set(self._ours)

    def name_of(self, name: str) -> str:
        """The name in MLflow."""
        found = self._known.get(name)
        if found is not None:
            return found
        with self._lock:
            return self._known.get(name) or self._make(name)

    def _make(self, name: str) -> str:
        made = cleaned(name)
        if made.casefold() in self._ours:
            made = fitted(_PREFIX + made)
        remembers = len(self._known) < _MOST
        if made.casefold() in self._taken or (not remembers and made != name):
            digest = hashlib.sha256(name.encode(errors="backslashreplace")).hexdigest()[:_DIGITS]
            made = fitted(made, f"_{digest}")
        if remembers:
            self._known[name] = made
            self._taken.add(made.casefold())
        return made


def cleaned(name: str) -> str:
    """A name that MLflow takes, and that is itself as a path: ``a/b`` for ``a//b``, ``__/x`` for ``../x``."""
    signs = "".join(sign if sign.isalnum() or sign in _SIGNS or sign == "/" else "_" for sign in name)
    parts = [part for part in map(str.strip, fitted(signs).split("/")) if part not in ("", ".")]
    if parts and parts[0].startswith(".."):
        parts[0] = f"__{parts[0][2:]}"
    return "/".join("__" if part == ".." else part for part in parts) or "_"


def fitted(name: str, ending: str = "") -> str:
    """A name that is not too long, with an ending that stays."""
    return name[: KEY_CHARACTERS - len(ending)] + ending


def storable(text: str, most: int = VALUE_CHARACTERS) -> str:
    """Text that every store accepts: not too long, valid in UTF-8, and without NUL."""
    text = text[:most]
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\0").encode(errors="backslashreplace").decode()
