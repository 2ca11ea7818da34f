"""The HTTP server: cheroot, with TLS where it is asked for, and limits on what a request may cost."""

from __future__ import annotations

import os
import socket
import ssl
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from cheroot.ssl.builtin import BuiltinSSLAdapter
from cheroot.wsgi import Server

from sparkopt.coordinator.transport.certificates import Certificate
from sparkopt.dashboard.http_answers import Application, Environ, StartResponse
from sparkopt.errors import RefusedError
from sparkopt.wire import addresses
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("dashboard")

_THREADS: Final = 16
_TIMEOUT: Final = 10
"""Seconds that a connection may say nothing."""

_HEADER_BYTES: Final = 32 * 1024
_BODY_BYTES: Final = 64 * 1024


class WebServer:
    """A server at one address, which it has as soon as it is made.

    Attributes:
        port: that it listens at.

    Args:
        host: to listen at.
        port: to listen at; 0 for a free one.
        certificate: for TLS; None for none.

    Raises:
        RefusedError: if it cannot listen there, or the certificate will not do.
    """

    def __init__(self, host: str, port: int, certificate: Certificate | None) -> None:
        self._application: Application | None = None
        self._server = _QuietServer((host, port), self._call, _THREADS, timeout=_TIMEOUT, shutdown_timeout=1)
        self._server.max_request_header_size = _HEADER_BYTES
        self._server.max_request_body_size = _BODY_BYTES
        if certificate is not None:
            self._server.ssl_adapter = _adapter(certificate)
        try:
            self._server.prepare()
        except OSError as error:
            raise RefusedError(
                f"cannot listen at {addresses.join(host, port)}: {self._server.refusal or error}. If another"
                " program has the port, name another one, or port 0 for a free one; the host must be this"
                " machine"
            ) from None
        self.port: int = self._server.bind_addr[1]

    def serve(self, application: Application) -> None:
        """Answer requests until :meth:`stop` is called, or the thread is interrupted."""
        self._application = application
        self._server.serve()

    def stop(self) -> None:
        """End. Idempotent."""
        self._server.stop()

    def _call(self, environ: Environ, start_response: StartResponse) -> Any:
        assert self._application is not None
        return self._application(environ, start_response)


class _QuietServer(Server):
    """A server whose threads wait for nobody, and that writes nothing to standard error."""

    refusal = ""

    def process_conn(self, conn: Any) -> None:
        """Have a thread answer, once a new connection has said something: until then no thread is its own."""
        if getattr(conn, "is_known", False):
            super().process_conn(conn)
        else:
            conn.is_known = True
            self._connections.put(conn)  # type: ignore[attr-defined]  # its stubs have no private names

    def bind_socket(  # type: ignore[override]  # called as a method, whatever it is
        self, socket_: socket.socket, bind_addr: Any
    ) -> socket.socket:
        """Bind a socket, or close it."""
        try:
            socket_.bind(bind_addr)
        except OSError as error:
            self.refusal = error.strerror or str(error)
            socket_.close()
            raise
        return socket_

    def error_log(self, msg: str = "", level: int = 20, traceback: bool = False) -> None:
        """Log what cheroot would write to standard error."""
        error = sys.exc_info()[1] if traceback else None
        _LOG.info("request failed", message=msg, **({} if error is None else {"error": error}))


class _LateHandshake(BuiltinSSLAdapter):
    """TLS whose handshake is a worker's, so that a client that says nothing holds up no other."""

    def wrap(self, sock: Any) -> tuple[Any, dict[str, str]]:
        """A socket of TLS, and what the environment of its requests has of that."""
        wrapped = self.context.wrap_socket(sock, do_handshake_on_connect=False, server_side=True)
        return wrapped, {"wsgi.url_scheme": "https", "HTTPS": "on"}


def _adapter(certificate: Certificate) -> BuiltinSSLAdapter:
    """TLS with a certificate that is in files for as long as it takes to read them."""
    with tempfile.TemporaryDirectory(prefix="sparkopt-") as directory:
        chain, key = Path(directory, "chain.pem"), Path(directory, "key.pem")
        chain.write_bytes(certificate.chain)
        with os.fdopen(os.open(key, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(certificate.key)
        try:
            adapter = _LateHandshake(str(chain), str(key))
        except (ssl.SSLError, ValueError, OSError) as error:
            raise RefusedError(f"the certificate and its key will not do: {error}") from None
    adapter.context.minimum_version = ssl.TLSVersion.TLSv1_2
    return adapter
