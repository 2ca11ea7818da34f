"""Answers of WSGI applications, and what a request says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from http import HTTPStatus
from typing import Any

Environ = dict[str, Any]
Headers = list[tuple[str, str]]
StartResponse = Callable[..., Any]
Application = Callable[[Environ, StartResponse], Iterable[bytes]]


def answer(
    start_response: StartResponse,
    status: HTTPStatus,
    body: str | bytes,
    kind: str = "text/plain",
    more: Headers | None = None,
) -> list[bytes]:
    """Answer with text or bytes.

    Args:
        start_response: of the request.
        status: of the answer.
        body: of the answer.
        kind: its media type.
        more: further headers.
    """
    data = body.encode() if isinstance(body, str) else body
    charset = "; charset=utf-8" if kind.startswith("text/") or kind.endswith("json") else ""
    headers = [("Content-Type", f"{kind}{charset}"), ("Content-Length", str(len(data))), *(more or ())]
    start_response(f"{status.value} {status.phrase}", headers)
    return [data]


def answer_json(start_response: StartResponse, value: Any, status: HTTPStatus = HTTPStatus.OK) -> list[bytes]:
    """Answer with JSON. Numbers in it have to be finite."""
    return answer(start_response, status, json.dumps(value, allow_nan=False), "application/json")


def redirect(start_response: StartResponse, place: str, more: Headers | None = None) -> list[bytes]:
    """Redirect the browser to another address."""
    return answer(start_response, HTTPStatus.SEE_OTHER, "", more=[("Location", place), *(more or ())])


def body_of(environ: Environ, most: int) -> bytes | None:
    """The body of a request, empty if no length is given; None if it is longer, or its length is wrong."""
    try:
        length = int(environ.get("CONTENT_LENGTH") or 0)
    except ValueError:
        return None
    if not 0 <= length <= most:
        return None
    data: bytes = environ["wsgi.input"].read(length)
    return data if len(data) == length else None
