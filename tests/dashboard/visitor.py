"""A visitor of a dashboard: real HTTP on real connections, with the cookie of a link that it has opened."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import ssl
import threading
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from sparkopt.dashboard.dashboards import Dashboard

SECONDS = 30.0


@dataclass
class Answer:
    """The answer to a request."""

    status: int
    headers: dict[str, str]
    raw: bytes

    @property
    def text(self) -> str:
        zipped = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.raw) if zipped else self.raw).decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Visitor:
    """Asks one dashboard."""

    url: str
    trusts: ssl.SSLContext | None = None
    headers: dict[str, str] = field(default_factory=dict)

    def ask(self, path: str, method: str = "GET", body: bytes | None = None, **headers: str) -> Answer:
        parts = urlsplit(self.url)
        port = parts.port
        connection: http.client.HTTPConnection
        if parts.scheme == "https":
            connection = http.client.HTTPSConnection(
                parts.hostname, port, timeout=SECONDS, context=self.trusts
            )
        else:
            connection = http.client.HTTPConnection(parts.hostname, port, timeout=SECONDS)
        try:
            given = {name.replace("_", "-"): value for name, value in {**self.headers, **headers}.items()}
            connection.request(method, path, body, given)
            response = connection.getresponse()
            said = {name.lower(): value for name, value in response.getheaders()}
            return Answer(response.status, said, response.read())
        finally:
            connection.close()

    def open(self, link: str) -> Answer:
        """Follow a link with a key, as a browser does: from now on the cookie goes along."""
        answer = self.ask(link[len(self.url) - 1 :])
        if "set-cookie" in answer.headers:
            self.headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]
        return answer

    @property
    def origin(self) -> str:
        return self.url.rstrip("/")

    def act(self, **what: Any) -> Answer:
        """Do something as the page does."""
        guard = re.search(r'name="sparkopt-guard" content="(\w*)"', self.ask("/").text)
        assert guard is not None
        more = {"Origin": self.origin, "X-Sparkopt-Guard": guard[1], "Content-Type": "application/json"}
        return self.ask("/search/act", "POST", json.dumps(what).encode(), **more)


class Served:
    """A dashboard that answers in a thread."""

    def __init__(self, dashboard: Dashboard) -> None:
        self.dashboard = dashboard
        self._thread = threading.Thread(target=dashboard.serve, name="dashboard-of-a-test")
        self._thread.start()

    def visitor(self, **more: Any) -> Visitor:
        return Visitor(self.dashboard.url, **more)

    def close(self) -> None:
        self.dashboard.close()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
