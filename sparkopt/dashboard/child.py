"""Entry of the process that :class:`~sparkopt.control.dashboard_process.DashboardProcess` starts."""

from __future__ import annotations

import contextlib
import json
import os
import sys
import threading
from typing import IO, Any, Final

from sparkopt.client import ControlClient
from sparkopt.errors import ControlError, RefusedError
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("dashboard")
_NICE: Final = 5
"""Workers of a search on the same machine come first."""


def main() -> None:
    """Serve a dashboard until standard input ends."""
    with contextlib.suppress(OSError):
        os.nice(_NICE)
    commands, answers = sys.stdin.buffer, sys.stdout
    sys.stdout = sys.stderr  # nobody else may write there
    given = json.loads(commands.readline())
    try:
        from sparkopt.dashboard.dashboards import Dashboard, Listen

        dashboard = Dashboard(Listen(given["listen"]))
    except (RefusedError, ModuleNotFoundError) as error:
        _say(answers, {"error": str(error)})
        return
    _say(answers, {"link": dashboard.link})
    obeying = threading.Thread(target=_obey, args=(commands, answers, dashboard), name="sparkopt-commands")
    obeying.daemon = True
    obeying.start()
    try:
        dashboard.serve()
    finally:
        dashboard.close()


def _say(answers: IO[str], what: dict[str, Any]) -> None:
    with contextlib.suppress(OSError):  # who has asked is gone
        answers.write(json.dumps(what) + "\n")
        answers.flush()


def _obey(commands: IO[bytes], answers: IO[str], dashboard: Any) -> None:
    for line in commands:
        what = json.loads(line)
        trusted = what["certificate"]
        try:
            client = ControlClient(
                what["address"], token=what["token"], ca_cert=None if trusted is None else trusted.encode()
            )
            dashboard.follow(what["address"], client, what["token"]).wait()
        except (ControlError, RefusedError) as error:
            _LOG.warning("search not followed", error)
        _say(answers, {"follows": what["address"]})
    dashboard.close()
