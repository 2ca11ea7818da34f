"""Page of ours: what the workers of each search run, and what somebody may do about it."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Callable, Iterable, Sequence
from http import HTTPStatus
from typing import Any, Final

from sparkopt.client import ControlClient, StudyInfo, WorkerInfo
from sparkopt.dashboard.gate import ACT, SESSION, STYLE
from sparkopt.dashboard.http_answers import Environ, StartResponse, answer, answer_json, body_of
from sparkopt.dashboard.mirror import Mirror, RunningTrial
from sparkopt.dashboard.page_texts import asset, search_page
from sparkopt.dashboard.search_follower import FOLLOWING, PoolView, SearchFollower
from sparkopt.dashboard.sessions import Sessions
from sparkopt.errors import (
    BadRequestError,
    ControlError,
    NotAuthorizedError,
    NotFoundError,
    RefusedError,
    UnreachableError,
)

_SCRIPT: Final = "/search/page.js"
_STATE: Final = "/search/state"
_BODY_BYTES: Final = 16 * 1024
_REASON: Final = "cancelled on the dashboard"

_ANSWERS: Final[tuple[tuple[type[Exception], HTTPStatus], ...]] = (
    (NotAuthorizedError, HTTPStatus.FORBIDDEN),
    (NotFoundError, HTTPStatus.NOT_FOUND),
    (BadRequestError, HTTPStatus.BAD_REQUEST),
    (RefusedError, HTTPStatus.BAD_REQUEST),
    (UnreachableError, HTTPStatus.BAD_GATEWAY),
)
"""Statuses of errors of the control service; of others CONFLICT."""

_COUNTS: Final = ("pending", "ok", "failed", "cancelled", "lost", "pruned")

_ACTIONS: Final[dict[str, Callable[[ControlClient, dict[str, Any]], object]]] = {
    "pause": lambda client, what: client.pause(),
    "resume": lambda client, what: client.resume(),
    "parallelism": lambda client, what: client.set_parallelism(what["parallelism"]),
    "cancel": lambda client, what: client.cancel_trial(what["tid"], what["study"], _REASON),
    "stop": lambda client, what: client.stop(what["study"]),
    "finish": lambda client, what: client.stop(what["study"], finish_running=True),
}


class SearchPage:
    """The page, its state as JSON, and its actions.

    Args:
        followers: returns those of the searches, in the order in which they began.
        mirror: of their trials.
        sessions: of those who may act.
    """

    def __init__(
        self, followers: Callable[[], Sequence[SearchFollower]], mirror: Mirror, sessions: Sessions
    ) -> None:
        self._followers = followers
        self._mirror = mirror
        self._sessions = sessions

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes] | None:
        """Answer a request; None if it is for somebody else."""
        path, session = environ.get("PATH_INFO", "") or "/", environ[SESSION]
        if path == ACT:
            return self._act(environ, start_response)
        if path == "/":
            guard = "" if session is None else self._sessions.guard_of(session)
            return answer(start_response, HTTPStatus.OK, search_page(guard), "text/html")
        if path == _STATE:
            return answer_json(start_response, self.state(session is not None))
        if path == STYLE:
            return answer(start_response, HTTPStatus.OK, asset("page.css"), "text/css")
        if path == _SCRIPT:
            return answer(start_response, HTTPStatus.OK, asset("page.js"), "text/javascript")
        return None

    def state(self, may_act: bool) -> dict[str, Any]:
        """Everything that the page shows, the newest search first."""
        return {"may_act": may_act, "searches": [self._search(each) for each in reversed(self._followers())]}

    def _search(self, follower: SearchFollower) -> dict[str, Any]:
        about: dict[str, Any] = {
            "pool": follower.pool,
            "title": follower.address,
            "state": follower.state,
            "trouble": follower.trouble,
            "paused": False,
            "studies": [],
            "workers": [],
        }
        if follower.state != FOLLOWING:
            names = self._mirror.studies_of(follower.pool)
            return {**about, "studies": [self._ended_study(follower.pool, name) for name in names]}
        if (view := follower.view()) is None:
            return about
        status = view.status
        return {
            **about,
            "paused": status.paused,
            "parallelism": status.parallelism,
            "max_parallelism": status.max_parallelism,
            "utilisation": 1.0 - status.idle_share,
            "trials_per_second": status.trials_per_second,
            "trials": _counts(status.trials),
            "studies": [self._study(follower.pool, study) for study in status.studies],
            "workers": self._workers(follower, view),
        }

    def _study(self, pool: str, study: StudyInfo) -> dict[str, Any]:
        shown = self._mirror.shown_name(pool, study.name)
        return {
            "name": study.name,
            "shown": shown or study.name,
            "number": None if shown is None else self._mirror.number_of(shown),
            "ended": study.ended is not None,
            "trials": _counts(study.trials),
            "best_value": _number(study.best_value),
            "best_tid": study.best_tid,
        }

    def _ended_study(self, pool: str, name: str) -> dict[str, Any]:
        """A study of a pool that cannot be asked any more."""
        shown, summary = self._mirror.shown_name(pool, name), self._mirror.summary(pool, name)
        counts = {state: summary.counts.get(state, 0) for state in _COUNTS}
        return {
            "name": name,
            "shown": shown,
            "number": None if shown is None else self._mirror.number_of(shown),
            "ended": True,
            "trials": {**counts, "submitted": sum(counts.values()), "leased": 0},
            "best_value": _number(summary.best_value),
            "best_tid": summary.best_tid,
        }

    def _workers(self, follower: SearchFollower, view: PoolView) -> list[dict[str, Any]]:
        now = datetime.datetime.now(datetime.timezone.utc)
        running = self._mirror.running(follower.pool)
        return [
            _worker(worker, running.get((worker.study, worker.tid or 0)), now)
            for worker in sorted(view.workers, key=lambda worker: (worker.gang, worker.name))
        ]

    def _act(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        data = body_of(environ, _BODY_BYTES)
        try:
            what = json.loads(data or b"")
            action = _ACTIONS[what["do"]]
            follower = next(each for each in self._followers() if each.pool == what["pool"])
        except (ValueError, KeyError, TypeError, StopIteration):
            return answer(start_response, HTTPStatus.BAD_REQUEST, "That is not an action of this page's.\n")
        try:
            action(follower.client, what)
        except KeyError as error:
            return answer(start_response, HTTPStatus.BAD_REQUEST, f"The request does not say {error}.\n")
        except (ControlError, RefusedError) as error:
            status = next(
                (status for kind, status in _ANSWERS if isinstance(error, kind)), HTTPStatus.CONFLICT
            )
            return answer(start_response, status, f"{error}\n")
        finally:
            follower.forget_view()
        return answer_json(start_response, {})


def _worker(worker: WorkerInfo, running: RunningTrial | None, now: datetime.datetime) -> dict[str, Any]:
    there = max(1e-9, (now - worker.joined).total_seconds()) if worker.joined is not None else math.inf
    since = None if running is None else running.trial.started
    value = None if running is None else running.value
    return {
        "name": worker.name,
        "host": worker.host,
        "state": worker.state,
        "study": worker.study,
        "tid": worker.tid,
        "seconds": None if since is None else max(0.0, (now - since).total_seconds()),
        "value": None if value is None else _number(value.value),
        "step": None if value is None else value.step,
        "trials": worker.trials,
        "busy_share": min(1.0, worker.busy_seconds / there),
    }


def _counts(counts: Any) -> dict[str, int]:
    return {name: getattr(counts, name) for name in ("submitted", "leased", *_COUNTS)}


def _number(value: float | None) -> float | str | None:
    """A number as JSON takes it."""
    return value if value is None or math.isfinite(value) else str(value)
