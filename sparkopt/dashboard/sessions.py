"""Sessions of browsers that have shown a token: a cookie, and a text that only pages of ours know."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
from collections import OrderedDict
from http.cookies import CookieError, SimpleCookie
from typing import Final

_MOST: Final = 1000
"""Most sessions that are kept; the oldest are forgotten first."""


class Sessions:
    """Those of one server.

    Attributes:
        key: opens a session, as a link with it does. It is good for this server only.
    """

    def __init__(self) -> None:
        self.key = secrets.token_urlsafe(32)
        self.cookie = ""
        self._good = [self.key.encode()]
        self._secret = secrets.token_bytes(32)
        self._open: OrderedDict[str, None] = OrderedDict()
        self._lock = threading.Lock()

    def name_for(self, port: int) -> None:
        """Have cookies of a name of their own: a browser sends a host's to all of its ports."""
        self.cookie = f"sparkopt-{port}"

    def accept(self, token: str) -> None:
        """Have another token open sessions."""
        self._good.append(token.encode())

    def is_good(self, token: str) -> bool:
        """Returns whether a text is the key or a token; each is compared in constant time."""
        given = token.encode("utf-8", "replace")
        return sum(hmac.compare_digest(given, each) for each in self._good) > 0

    def open(self) -> str:
        """Begin a session; returns its cookie."""
        session = secrets.token_urlsafe(32)
        with self._lock:
            self._open[session] = None
            while len(self._open) > _MOST:
                self._open.popitem(last=False)
        return session

    def of(self, cookies: str) -> str | None:
        """The session of a request's cookies; None if there is none."""
        try:
            given = SimpleCookie(cookies).get(self.cookie)
        except CookieError:
            return None
        with self._lock:
            return given.value if given is not None and given.value in self._open else None

    def guard_of(self, session: str) -> str:
        """The text that a request which changes something has to carry besides its cookie."""
        return hmac.new(self._secret, session.encode(), hashlib.sha256).hexdigest()

    def is_guard(self, session: str, text: str) -> bool:
        """Returns whether that is its text; compared in constant time."""
        return hmac.compare_digest(text.encode("utf-8", "replace"), self.guard_of(session).encode())
