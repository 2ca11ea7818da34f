"""Compression of answers for browsers that take it: ten thousand trials are nine megabytes of JSON."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from typing import Any, Final

from sparkopt.dashboard.http_answers import Application, Environ, Headers, StartResponse

_LEAST: Final = 1024
"""Bytes below which it is not worth it."""

_LEVEL: Final = 4

_KINDS: Final = ("text/", "application/json", "application/javascript", "image/svg")


def compressed(application: Application) -> Application:
    """An application that answers with gzip where that is worth it, and where it is asked for."""

    def call(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        takes = _takes_gzip(environ.get("HTTP_ACCEPT_ENCODING", ""))
        # optuna-dashboard looks into the header without asking whether it is there.
        environ = {**environ, "HTTP_ACCEPT_ENCODING": "gzip" if takes else "identity"}
        said: list[tuple[str, Headers]] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            said[:] = [(status, headers)]

        parts = application(environ, start)
        try:
            body = b"".join(parts)
        finally:
            if hasattr(parts, "close"):
                parts.close()
        status, headers = said[0]
        known = {name.lower(): value for name, value in headers}
        headers = [*headers, ("Vary", "Accept-Encoding")]
        if (
            takes
            and len(body) >= _LEAST
            and known.get("content-type", "").startswith(_KINDS)
            and "content-encoding" not in known
            and "content-range" not in known
        ):
            body = gzip.compress(body, _LEVEL, mtime=0)
            headers = [
                (name, value) for name, value in headers if name.lower() not in ("content-length", "etag")
            ]
            headers += [("Content-Encoding", "gzip"), ("Content-Length", str(len(body)))]
        start_response(status, headers)
        return [body]

    return call


def _takes_gzip(header: str) -> bool:
    for each in header.lower().split(","):
        coding, _, parameters = each.partition(";")
        if coding.strip() in ("gzip", "x-gzip"):
            return parameters.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
