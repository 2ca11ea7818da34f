"""A proxy in front of an MLflow server: adds delay, counts calls, and answers in the server's place."""

from __future__ import annotations

import http.client
import http.server
import os
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass

Answer = tuple[int, dict[str, str]]
"""Status and headers."""

LOST: Answer = (0, {})
"""The request arrives, and the connection is reset before its answer."""

REFUSED: Answer = (-1, {})
"""The connection is reset, and the request does not arrive."""

_HOP: frozenset[str] = frozenset({"transfer-encoding", "content-length", "connection", "date", "server"})


@dataclass(frozen=True)
class Asked:
    """A request that has come."""

    method: str
    path: str
    body: bytes
    headers: dict[str, str]


class StoreProxy(http.server.ThreadingHTTPServer):
    """Passes requests on to a server on loopback, several at once, each after a delay.

    Args:
        port: of the server.
        delay: seconds.

    Attributes:
        asked: the requests that have come.
        most: how many were under way at once at most.
        intercept: returns what is answered in the server's place, or None to pass the request on.
    """

    daemon_threads = True
    request_queue_size = 256

    def __init__(self, port: int, delay: float = 0.0) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = port
        self.delay = delay
        self.uri = f"http://127.0.0.1:{self.server_port}"
        self.asked: list[Asked] = []
        self.most = 0
        self.intercept: Callable[[Asked], Answer | None] = lambda asked: None
        self._under_way = 0
        self._lock = threading.Lock()
        self._never = threading.Event()
        self._thread = threading.Thread(target=self.serve_forever, name="store-proxy")
        self._thread.start()

    def begin(self, asked: Asked) -> Answer | None:
        """Note a request, and let its delay pass."""
        with self._lock:
            self.asked.append(asked)
            self._under_way += 1
            self.most = max(self.most, self._under_way)
        if self.delay:
            self._never.wait(self.delay)
        return self.intercept(asked)

    def end(self) -> None:
        """Note that a request has its answer."""
        with self._lock:
            self._under_way -= 1

    def calls(self, text: str) -> list[str]:
        """The calls that have a text, such as the id of a run, in their path or body, in short."""
        return [
            f"{each.method} {each.path.partition('?')[0].rpartition('/mlflow/')[2]}"
            for each in self.asked
            if text in each.path or text.encode() in each.body
        ]

    def stop(self) -> None:
        """Answer nobody any more."""
        self.shutdown()
        self._thread.join()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: StoreProxy

    def _pass_on(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        answer = self.server.begin(Asked(self.command, self.path, body, headers))
        try:
            if answer is REFUSED:
                self._reset()
            elif answer is LOST:
                self._ask_behind(body)
                self._reset()
            elif answer is None:
                self._send(*self._ask_behind(body))
            else:
                self._send(answer[0], list(answer[1].items()), b"{}")
        finally:
            self.server.end()

    def _reset(self) -> None:
        self.close_connection = True
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # The files that were made of the socket hold it open.
        os.close(self.connection.detach())

    def _ask_behind(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        kept = {name: value for name, value in self.headers.items() if name.lower() not in {"host", *_HOP}}
        # A connection each: the server closes those that were idle for a while.
        behind = http.client.HTTPConnection("127.0.0.1", self.server.behind)
        behind.request(self.command, self.path, body, kept)
        got = behind.getresponse()
        data = got.read()
        behind.close()
        return got.status, [each for each in got.getheaders() if each[0].lower() not in _HOP], data

    def _send(self, status: int, headers: list[tuple[str, str]], data: bytes) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _pass_on

    def log_message(self, *arguments: object) -> None:
        """Nothing."""
