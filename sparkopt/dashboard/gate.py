"""Gate before the dashboard: whose requests come through, and what answers carry back.

    Host ── one of ours? ──▶ method ── GET, HEAD, or a POST of ours? ──▶ token, key or session
                                                     └─ POST: session, origin, and the page's own text

On loopback everybody on the machine may read, and whoever has the key or the token may act. Elsewhere it
takes one of them to read, too.
"""

from __future__ import annotations

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from sparkopt.dashboard.host_names import HostNames
from sparkopt.dashboard.http_answers import (
    Application,
    Environ,
    Headers,
    StartResponse,
    answer,
    body_of,
    redirect,
)
from sparkopt.dashboard.page_texts import login_page
from sparkopt.dashboard.sessions import Sessions
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("dashboard")

LOGIN: Final = "/login"
ACT: Final = "/search/act"
"""The only addresses that take a POST."""

STYLE: Final = "/search/page.css"
"""Address of the style of pages, which is not a secret."""

SESSION: Final = "sparkopt.session"
"""Name in a WSGI environment of the session that may act; None if the request has none."""

GUARD: Final = "HTTP_X_SPARKOPT_GUARD"
"""Header of a request that acts: the text of its page."""

_TOKEN_BYTES: Final = 4096

_HEADERS: Final = (
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
)
_POLICY: Final = "default-src 'self'; style-src 'self'; script-src 'self'; object-src 'none'"
_POLICY_MORE: Final = "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"


class Gate:
    """A WSGI application in front of another.

    Args:
        application: what is guarded.
        names: that requests may call the server by.
        sessions: of browsers that have shown a token.
        is_open: whether it takes no token to read.
        tls: whether browsers reach it by HTTPS.
    """

    def __init__(
        self, application: Application, names: HostNames, sessions: Sessions, is_open: bool, tls: bool
    ) -> None:
        self._application = application
        self._names = names
        self._sessions = sessions
        self._is_open = is_open
        self._tls = tls

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            start_response(status, _guarded(headers, environ))

        parts = self._answer(environ, start)
        if environ.get("REQUEST_METHOD") != "HEAD":
            return parts
        if hasattr(parts, "close"):
            parts.close()
        return []

    def _answer(self, environ: Environ, start: StartResponse) -> Iterable[bytes]:
        method, path = environ.get("REQUEST_METHOD", ""), environ.get("PATH_INFO", "") or "/"
        host = environ.get("HTTP_HOST", "")
        if not self._names.has(host):
            _LOG.info("request of another name refused", host=host[:200])
            return answer(
                start,
                HTTPStatus.MISDIRECTED_REQUEST,
                "This dashboard does not go by the name in your request's Host header. If a proxy has it"
                " reached by that name, start it with --allow-host NAME.\n",
            )
        session = self._sessions.of(environ.get("HTTP_COOKIE", ""))
        if method == "POST":
            return self._post(environ, start, path, session)
        if method not in ("GET", "HEAD"):
            return answer(
                start, HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only.\n", more=[("Allow", "GET, HEAD")]
            )
        given = parse_qs(environ.get("QUERY_STRING", "")).get("key")
        if given and path == "/":
            return (
                self._open(start)
                if self._sessions.is_good(given[0])
                else self._ask(start, "That key is wrong.")
            )
        is_public = self._is_open or path == STYLE
        if not is_public and session is None and not self._has_token(environ):
            return self._ask(start, "")
        return self._application({**environ, SESSION: session}, start)

    def _post(
        self, environ: Environ, start: StartResponse, path: str, session: str | None
    ) -> Iterable[bytes]:
        if path not in (LOGIN, ACT):
            return answer(
                start, HTTPStatus.METHOD_NOT_ALLOWED, "GET and HEAD only.\n", more=[("Allow", "GET, HEAD")]
            )
        if not _is_own_origin(environ):
            return answer(start, HTTPStatus.FORBIDDEN, "This request comes from a page of another origin.\n")
        if path == LOGIN:
            data = body_of(environ, _TOKEN_BYTES)
            token = parse_qs((data or b"").decode("utf-8", "replace")).get("token", [""])[0].strip()
            return (
                self._open(start)
                if self._sessions.is_good(token)
                else self._ask(start, "That token is wrong.")
            )
        if session is None:
            return answer(
                start,
                HTTPStatus.UNAUTHORIZED,
                "Open the link that was printed when the dashboard began: it has the key for this.\n",
            )
        if not self._sessions.is_guard(session, environ.get(GUARD, "")):
            return answer(start, HTTPStatus.FORBIDDEN, "Load the page again: it is of another session.\n")
        return self._application({**environ, SESSION: session}, start)

    def _has_token(self, environ: Environ) -> bool:
        scheme, _, token = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        return scheme.lower() == "bearer" and self._sessions.is_good(token.strip())

    def _open(self, start: StartResponse) -> Iterable[bytes]:
        cookie = f"{self._sessions.cookie}={self._sessions.open()}; Path=/; HttpOnly; SameSite=Lax"
        return redirect(start, "/", [("Set-Cookie", f"{cookie}; Secure" if self._tls else cookie)])

    def _ask(self, start: StartResponse, trouble: str) -> Iterable[bytes]:
        more = [("WWW-Authenticate", "Bearer")]
        return answer(start, HTTPStatus.UNAUTHORIZED, login_page(trouble), "text/html", more)


def _is_own_origin(environ: Environ) -> bool:
    """Returns whether a browser says that a request is of a page of this server."""
    origin = environ.get("HTTP_ORIGIN")
    if origin is None:
        return bool(environ.get("HTTP_SEC_FETCH_SITE") == "same-origin")
    host: str = environ.get("HTTP_HOST", "")
    return urlsplit(origin).netloc.lower() == host.lower()


def _guarded(headers: Headers, environ: Environ) -> Headers:
    """Headers of an answer, with ours."""
    kept = [(name, value) for name, value in headers if name.lower() != "content-security-policy"]
    policies = [value for name, value in headers if name.lower() == "content-security-policy"]
    policy = f"{(policies or [_POLICY])[0]}; {_POLICY_MORE}"
    known = {name.lower() for name, _ in kept}
    if "cache-control" not in known:
        static = environ.get("PATH_INFO", "").startswith("/static/")
        kept.append(("Cache-Control", "private, max-age=3600" if static else "no-store"))
    return [*kept, *_HEADERS, ("Content-Security-Policy", policy)]
