"""A dashboard: its mirror, its server, and the searches that it follows."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass

from sparkopt.client import ControlClient
from sparkopt.control import host_addresses
from sparkopt.control.credentials import users_certificate
from sparkopt.control.options import Control
from sparkopt.coordinator.transport.certificates import new_certificate
from sparkopt.dashboard.answer_cache import AnswerCache
from sparkopt.dashboard.application import DashboardApplication
from sparkopt.dashboard.compressed import compressed
from sparkopt.dashboard.gate import Gate
from sparkopt.dashboard.host_names import HostNames
from sparkopt.dashboard.mirror import Mirror
from sparkopt.dashboard.search_follower import SearchFollower
from sparkopt.dashboard.search_page import SearchPage
from sparkopt.dashboard.sessions import Sessions
from sparkopt.dashboard.web_server import WebServer
from sparkopt.errors import RefusedError
from sparkopt.optuna.plots_application import plots_application
from sparkopt.wire import addresses

FilePath = str | os.PathLike[str]


@dataclass(frozen=True, slots=True)
class Listen:
    """Address that a dashboard listens at, and its settings.

    Attributes:
        address: ``host:port``; port 0 takes a free one. Off loopback it speaks TLS only.
        allow_hosts: names that it is reached by besides this machine's own: a proxy's, for example. With any
            of these, reading takes the token too, even on loopback.
        tls_cert: a file with a certificate (PEM); by default one is made where it is needed.
        tls_key: the file with its key.
    """

    address: str = "127.0.0.1:8080"
    allow_hosts: tuple[str, ...] = ()
    tls_cert: FilePath | None = None
    tls_key: FilePath | None = None


class Dashboard:
    """Listens as soon as it is made, and answers while :meth:`serve` runs.

    Attributes:
        url: of the page.
        link: the same with the key that lets a browser act.
        certificate: one that was made here, which browsers do not know yet; None if none was made.
        mirror: of all trials.

    Args:
        listen: where.

    Raises:
        RefusedError: if it cannot listen there.
        ModuleNotFoundError: if optuna-dashboard is not installed.
    """

    def __init__(self, listen: Listen) -> None:
        try:
            host, port = addresses.split(listen.address)
        except ValueError as error:
            raise RefusedError(f"cannot listen at {listen.address!r}: {error}") from None
        self.mirror = Mirror()
        self._followers: list[SearchFollower] = []
        self._lock = threading.Lock()
        names = HostNames(host, listen.allow_hosts)
        certificate = users_certificate(Control(tls_cert=listen.tls_cert, tls_key=listen.tls_key))
        self.certificate: bytes | None = None
        if certificate is None and not names.is_local:
            certificate = new_certificate([host, *host_addresses.names(), *listen.allow_hosts])
            self.certificate = certificate.chain
        sessions = self._sessions = Sessions()
        page = SearchPage(self.followers, self.mirror, sessions)
        made = compressed(DashboardApplication(page, self.mirror, plots_application))
        application = AnswerCache(made, lambda: self.mirror.changed)
        self._server = WebServer(host, port, certificate)
        sessions.name_for(self._server.port)
        is_open = names.is_local and not listen.allow_hosts
        self._gate = Gate(application, names, sessions, is_open, certificate is not None)
        shown = host_addresses.outside("127.0.0.1") if addresses.is_unspecified(host) else host
        scheme = "http" if certificate is None else "https"
        self.url = f"{scheme}://{addresses.join(shown, self._server.port)}/"
        self.link = f"{self.url}?key={sessions.key}"

    def followers(self) -> list[SearchFollower]:
        """The searches that are followed, in the order in which they came."""
        with self._lock:
            return [*self._followers]

    def follow(self, address: str, client: ControlClient, token: str) -> SearchFollower:
        """Follow the searches of a pool. Returns the follower.

        Args:
            address: of its control service.
            client: of that service; the dashboard closes it.
            token: of that service; the dashboard accepts it from browsers as well.

        Raises:
            ControlError: if nobody answers, or the token is wrong.
        """
        follower = SearchFollower(address, client, self.mirror)
        follower.start()
        self._sessions.accept(token)
        with self._lock:
            self._followers.append(follower)
        return follower

    def serve(self) -> None:
        """Answer until :meth:`close` is called, or the thread is interrupted."""
        self._server.serve(self._gate)

    def close(self) -> None:
        """End. Idempotent."""
        self._server.stop()
        for follower in self.followers():
            follower.close()
