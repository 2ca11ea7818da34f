"""Cache of answers about studies, compressed: one of ten thousand trials takes seconds to make.

An answer is good as long as nothing has changed since it was made. If something has, it is good for a few
times as long as it took to make, so that answers never take most of a processor, however many browsers look.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final

from sparkopt.dashboard.http_answers import Application, Environ, Headers, StartResponse

_ABOUT: Final = "/api/studies/"
_MOST: Final = 16
"""Most answers that are kept; the oldest are forgotten first."""

_TIMES: Final = 5.0
_LONGEST_SECONDS: Final = 10.0

_LAG_SECONDS: Final = 11.0
"""Seconds after which answers have what has changed: optuna-dashboard looks for new trials every ten seconds,
or oftener if there are few."""

Key = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Kept:
    status: str
    headers: Headers
    body: bytes
    began: float
    good_until: float


class AnswerCache:
    """A WSGI application in front of another.

    Args:
        application: makes the answers.
        changed: returns when something has changed for the last time, on the monotonic clock.
    """

    def __init__(self, application: Application, changed: Callable[[], float]) -> None:
        self._application = application
        self._changed = changed
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._making: dict[Key, threading.Lock] = {}
        self._lock = threading.Lock()

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        path = environ.get("PATH_INFO", "")
        if not path.startswith(_ABOUT) or environ.get("REQUEST_METHOD") != "GET":
            return self._application(environ, start_response)
        key = (path, environ.get("QUERY_STRING", ""), environ.get("HTTP_ACCEPT_ENCODING", ""))
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:  # the others get what the first one makes
            kept = self._kept.get(key)
            if kept is None or not self._is_good(kept):
                kept = self._make(environ)
                with self._lock:
                    self._kept[key] = kept
                    self._kept.move_to_end(key)
                    while len(self._kept) > _MOST:
                        old, _ = self._kept.popitem(last=False)
                        self._making.pop(old, None)
        start_response(kept.status, list(kept.headers))
        return [kept.body]

    def _is_good(self, kept: _Kept) -> bool:
        return kept.status.startswith("200") and (
            kept.began >= self._changed() + _LAG_SECONDS or time.monotonic() < kept.good_until
        )

    def _make(self, environ: Environ) -> _Kept:
        said: list[tuple[str, Headers]] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            said[:] = [(status, headers)]

        began = time.monotonic()
        parts = self._application(environ, start)
        try:
            body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        ended = time.monotonic()
        good_until = ended + min(_LONGEST_SECONDS, _TIMES * (ended - began))
        return _Kept(*said[0], body, began, good_until)
