"""The dashboard as a WSGI application: a page of ours, and optuna-dashboard for everything else."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any

from sparkopt.dashboard.http_answers import Application, Environ, Headers, StartResponse
from sparkopt.dashboard.mirror import Mirror
from sparkopt.dashboard.page_texts import with_way_back

Page = Callable[[Environ, StartResponse], "Iterable[bytes] | None"]
MakePlots = Callable[[Any], Application]


class DashboardApplication:
    """Behind the gate: nothing but GET and HEAD comes here, and what the page of ours takes.

    Args:
        page: answers what is its own, and None otherwise.
        mirror: of the trials.
        make_plots: makes the application that draws a storage.
    """

    def __init__(self, page: Page, mirror: Mirror, make_plots: MakePlots) -> None:
        self._page = page
        self._mirror = mirror
        self._make_plots = make_plots
        self._lock = threading.Lock()
        self._plots = make_plots(mirror.storage)
        self._generation = mirror.generation

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        answered = self._page(environ, start_response)
        if answered is not None:
            return answered
        path = environ.get("PATH_INFO", "")
        if path.startswith(("/api/", "/csv/")):
            return self._fresh()({**environ}, start_response)
        if path == "/dashboard" or path.startswith("/dashboard/"):
            return self._linked({**environ}, start_response)
        return self._plots({**environ}, start_response)

    def _fresh(self) -> Application:
        """The plots of everything as it is now; another application if the storage is another one.

        optuna-dashboard remembers what parameters there are.
        """
        self._mirror.refresh()
        with self._lock:
            if self._generation != self._mirror.generation:
                self._generation = self._mirror.generation
                self._plots = self._make_plots(self._mirror.storage)
            return self._plots

    def _linked(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # Whole, and not what a browser has of it from before: there is a link in it.
        for name in ("HTTP_IF_MODIFIED_SINCE", "HTTP_IF_NONE_MATCH", "HTTP_RANGE"):
            environ.pop(name, None)
        said: list[tuple[str, Headers]] = []

        def start(status: str, headers: Headers, exc_info: Any = None) -> None:
            said[:] = [(status, headers)]

        parts = self._plots(environ, start)
        try:
            page = with_way_back(b"".join(parts))
        finally:
            if hasattr(parts, "close"):
                parts.close()
        status, headers = said[0]
        dropped = ("content-length", "last-modified", "etag", "accept-ranges")
        kept = [(name, value) for name, value in headers if name.lower() not in dropped]
        start_response(status, [*kept, ("Content-Length", str(len(page)))])
        return [page]
