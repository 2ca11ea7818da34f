"""Answers about studies are made once for all who ask, as long as nothing has changed."""

from __future__ import annotations

import math
import threading
import time

import pytest

from sparkopt.dashboard import answer_cache
from sparkopt.dashboard.answer_cache import AnswerCache


class Asked:
    """A cache, the application behind it, and the time of the last change."""

    def __init__(self):
        self.changed = -math.inf
        self.made = []
        self.status = "200 OK"
        self._cache = AnswerCache(self._application, lambda: self.changed)

    def _application(self, environ, start_response):
        self.made.append(environ["PATH_INFO"])
        start_response(self.status, [("Content-Type", "text/plain")])
        return [str(len(self.made)).encode()]

    def ask(self, path="/api/studies/0", query="", method="GET", accepts="gzip"):
        environ = {"PATH_INFO": path, "QUERY_STRING": query, "REQUEST_METHOD": method}
        parts = self._cache({**environ, "HTTP_ACCEPT_ENCODING": accepts}, lambda status, headers: None)
        return b"".join(parts)


@pytest.fixture
def asked(monkeypatch):
    monkeypatch.setattr(answer_cache, "_TIMES", 0.0)
    return Asked()


def test_an_answer_is_kept_until_something_changes(asked):
    assert [asked.ask(), asked.ask()] == [b"1", b"1"]
    asked.changed = time.monotonic()
    # Optuna's dashboard may not have looked since: its answer is none to keep.
    assert [asked.ask(), asked.ask()] == [b"2", b"3"]
    asked.changed -= answer_cache._LAG_SECONDS
    assert [asked.ask(), asked.ask()] == [b"3", b"3"]


def test_what_took_long_is_good_for_longer(asked, monkeypatch):
    monkeypatch.setattr(answer_cache, "_TIMES", 1e9)
    asked.ask()
    asked.changed = time.monotonic()
    assert asked.ask() == b"1"


@pytest.mark.parametrize("other", [{"path": "/api/studies/1"}, {"query": "after=3"}, {"accepts": "identity"}])
def test_another_question_has_another_answer(asked, other):
    assert [asked.ask(), asked.ask(**other)] == [b"1", b"2"]


@pytest.mark.parametrize("other", [{"path": "/api/studies"}, {"path": "/search/state"}, {"method": "HEAD"}])
def test_what_is_cheap_is_not_kept(asked, other):
    assert [asked.ask(**other), asked.ask(**other)] == [b"1", b"2"]


def test_an_error_is_not_kept(asked):
    asked.status = "404 Not Found"
    assert [asked.ask(), asked.ask()] == [b"1", b"2"]


def test_the_oldest_are_forgotten(asked):
    for number in range(17):
        asked.ask(f"/api/studies/{number}")
    assert asked.ask("/api/studies/16") == b"17"
    assert asked.ask("/api/studies/0") == b"18"


def test_who_asks_meanwhile_gets_the_same_answer(asked):
    begun, go_on = threading.Event(), threading.Event()
    make = asked._cache._application

    def slowly(environ, start_response):
        begun.set()
        assert go_on.wait(30)
        return make(environ, start_response)

    asked._cache._application = slowly
    answers = []
    threads = [threading.Thread(target=lambda: answers.append(asked.ask())) for _ in range(5)]
    threads[0].start()
    assert begun.wait(30)
    for each in threads[1:]:
        each.start()
    go_on.set()
    for each in threads:
        each.join(30)
    assert answers == [b"1"] * 5
