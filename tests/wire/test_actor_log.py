"""Messages of the actors' loggers: an event, and values that can be read back."""

from __future__ import annotations

import logging
import re
from json import loads

import pytest

from sparkopt.core.states import Lease, TrialKey
from sparkopt.wire.actor_log import ActorLog, values_of

PAIR = re.compile(r' (\w+)=("(?:[^"\\]|\\.)*"|[^\s"=]+)')


@pytest.fixture
def log(caplog):
    """The logger of an actor, which says everything."""
    caplog.set_level(logging.DEBUG, "sparkopt.tests")
    return ActorLog("tests")


def read(record):
    """The values of a message, as text."""
    pairs = dict(PAIR.findall(record.getMessage()))
    return {key: loads(value) if value.startswith('"') else value for key, value in pairs.items()}


VALUES = [
    "word",
    "gang0.1/worker0",
    "two words",
    "",
    'a "quoted" one',
    "a=b",
    "100%",
    "%s",
    "line\nline",
    "\\",
    "é",
]


@pytest.mark.parametrize("value", VALUES)
def test_a_value_is_read_back_from_one_line(log, caplog, value):
    log.info("something happened", first=value, second=3)
    (record,) = caplog.records
    assert len(record.getMessage().splitlines()) == 1
    assert read(record) == {"first": value, "second": "3"}
    assert record.getMessage().startswith("something happened ")


def test_nothing_in_a_value_steers_a_terminal(log, caplog):
    log.info("something happened", reason="\x1b[2J\x9b\x07")
    assert caplog.records[0].getMessage().isprintable()


def test_a_long_value_is_cut(log, caplog):
    log.info("something happened", reason="x" * 100_000)
    assert len(caplog.records[0].getMessage()) < 2000


def test_levels_errors_and_callers_are_as_they_should_be(log, caplog):
    error = ValueError("no such thing")
    log.debug("one")
    log.info("two")
    log.warning("three", error, trial=1)
    log.warning("four")
    log.error("five", error)
    levels = [record.levelno for record in caplog.records]
    assert levels == [logging.DEBUG, logging.INFO, logging.WARNING, logging.WARNING, logging.ERROR]
    assert {record.funcName for record in caplog.records} == {
        "test_levels_errors_and_callers_are_as_they_should_be"
    }
    assert read(caplog.records[2]) == {"trial": "1", "error": "ValueError: no such thing"}
    assert [record.exc_info is not None for record in caplog.records] == [False] * 4 + [True]


class Unsaid:
    """A value whose text nobody may ask for."""

    def __str__(self):
        raise AssertionError("it was put into words")


def test_what_is_not_shown_is_not_made(log, caplog):
    caplog.set_level(logging.INFO, "sparkopt.tests")
    assert log.is_on(logging.INFO)
    assert not log.is_on(logging.DEBUG)
    assert log.level == logging.INFO
    log.debug("something happened", value=Unsaid())
    assert caplog.records == []


def test_the_values_of_an_attempt():
    assert values_of(Lease(TrialKey("study1", 17), 2)) == {"study": "study1", "trial": 17, "attempt": 2}
