"""Process of a dashboard that follows this process's searches, and ends with it.

    DashboardProcess ── a line of JSON for each search: address, token, certificate ──▶ its standard input
                     ◀── its link, then a line for each search that it follows ── its standard output

The tokens are in no command line and no environment. Its standard input ends with this process, however that
ends, and with that the dashboard.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import weakref
from importlib.util import find_spec
from typing import Any, Final

from sparkopt.errors import ControlWarning, RefusedError, warn
from sparkopt.wire import addresses
from sparkopt.wire.arguments import refuse_type

_NEEDED: Final = ("optuna", "optuna_dashboard", "cheroot")
_ANYWHERE: Final = "127.0.0.1:0"
_END_SECONDS: Final = 5.0
_MAIN: Final = (
    "import json, sys; sys.path[:] = json.loads(sys.argv.pop());"
    " from sparkopt.dashboard.child import main; main()"
)


def check_dashboard(dashboard: bool | str) -> str | None:
    """Address that a ``dashboard=`` argument has a dashboard listen at; None for none.

    Raises:
        RefusedError: if it makes no sense, or what a dashboard needs is not installed.
    """
    if dashboard is False:
        return None
    if dashboard is not True and not isinstance(dashboard, str):
        refuse_type("dashboard", dashboard, "True, False or host:port")
    listen = _ANYWHERE if dashboard is True else dashboard
    try:
        addresses.split(listen)
    except ValueError as error:
        raise RefusedError(f"dashboard cannot be at {listen!r}: {error}") from None
    lacking = [name for name in _NEEDED if find_spec(name) is None]
    if lacking:
        raise RefusedError(
            f"dashboard needs {', '.join(lacking)}, and {sys.executable} has none: pip install"
            " 'sparkopt[dashboard]'"
        )
    return listen


class DashboardProcess:
    """A dashboard in a process of its own. It ends with this object, by :meth:`close`, or with this process.

    Args:
        listen: where it listens, as ``host:port``.
    """

    def __init__(self, listen: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _MAIN, json.dumps([*map(str, sys.path)])],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C in a terminal ends the search, and not what is known of it
        )
        self._end = weakref.finalize(self, _end, self._process, os.getpid())
        self._said: dict[str, Any] | None = None
        self._to_follow = 0
        self._lock = threading.Lock()
        self._tell({"listen": listen})

    def follow(self, address: str, token: str, certificate: bytes | None) -> None:
        """Have it follow another pool."""
        trusted = None if certificate is None else certificate.decode("ascii")
        self._to_follow += 1
        self._tell({"address": address, "token": token, "certificate": trusted})

    def link(self) -> str | None:
        """The page's address, with the key that lets a browser act; waits for it. None if there is none."""
        with self._lock:
            if self._said is None:
                self._said = self._hear() or {"error": "its process has ended"}
            return self._said.get("link")

    def wait_until_it_follows(self) -> None:
        """Wait until it has all that there is of the pools that it was told of, or has given up."""
        if self.link() is None:
            return
        with self._lock:
            while self._to_follow and self._hear() is not None:
                self._to_follow -= 1

    def announce(self) -> threading.Thread:
        """Print its link as soon as there is one, from a thread; returns that."""
        thread = threading.Thread(target=self._print, name="sparkopt-dashboard", daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        """End it. Idempotent."""
        self._end()

    def _hear(self) -> dict[str, Any] | None:
        """Next thing that it says; None if it has ended."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        return json.loads(line) if line else None

    def _print(self) -> None:
        link = self.link()
        if link is not None:
            sys.stdout.write(f"dashboard: {link}\n")
            sys.stdout.flush()
        else:
            assert self._said is not None
            warn(f"there is no dashboard: {self._said.get('error')}", ControlWarning)

    def _tell(self, what: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):  # it has ended, and its last line says why
            self._process.stdin.write(json.dumps(what).encode() + b"\n")
            self._process.stdin.flush()


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of the process that it belongs to
    assert process.stdin is not None
    assert process.stdout is not None
    with contextlib.suppress(OSError):
        process.stdin.close()
    try:
        process.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    process.stdout.close()
