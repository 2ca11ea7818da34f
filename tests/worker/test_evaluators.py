"""Whatever an objective does to its process costs that process at most, and never the next trial."""

from __future__ import annotations

import os

import cloudpickle
import pytest

from sparkopt.wire.limits import INLINE_BYTES
from tests.worker import misdeeds
from tests.worker.evaluations import Request


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        ("exit", "exit code 3"),
        ("segfault", "killed by SIGSEGV"),
        ("kill", "killed by SIGKILL"),
        ("abort", "killed by SIGABRT"),
    ],
)
def test_an_evaluator_that_dies_is_replaced(evaluate, deed, said):
    before, death, after, again = evaluate("pid", deed, "pid", "pid")
    assert (death.kind, death.ended) == ("ended", said)
    assert death.peak_memory > 2**20
    assert before.load() != after.load()
    assert after.load() == again.load()


@pytest.mark.parametrize(
    ("deed", "kind", "text"),
    [
        ("value", "ValueError", "bad\nvalue"),
        ("system exit", "SystemExit", "4"),
        ("interrupt", "KeyboardInterrupt", ""),
        ("sigint", "KeyboardInterrupt", ""),
        ("recursion", "RecursionError", "maximum recursion depth exceeded"),
        ("generator", "TypeError", "cannot pickle 'generator' object"),
    ],
)
def test_whatever_is_raised_is_an_answer(evaluate, deed, kind, text):
    before, failure, after = evaluate("pid", deed, "pid")
    assert failure.kind == "failure"
    assert (failure.header["type"], failure.header["message"]) == (kind, text)
    assert kind in failure.header["traceback"]
    assert type(failure.load()).__name__ == kind
    assert before.load() == after.load()


@pytest.mark.parametrize(
    ("deed", "kind", "text"),
    [
        ("unpicklable", misdeeds.UnpicklableError, "held"),
        ("unbuildable", misdeeds.UnbuildableError, "7: seven"),
        ("untellable", misdeeds.UntellableError, "<its text cannot be had: RuntimeError>"),
    ],
)
def test_an_exception_that_cannot_travel_is_told_in_words(evaluate, deed, kind, text):
    before, failure, after = evaluate("pid", deed, "pid")
    assert failure.kind == "failure"
    assert failure.header["type"] == f"tests.worker.misdeeds.{kind.__name__}"
    assert failure.header["message"] == text
    assert before.load() == after.load()
    if kind is not misdeeds.UntellableError:
        assert failure.payload == b""


def test_an_exception_without_a_name_is_told_all_the_same(evaluate):
    before, failure, after = evaluate("pid", "nameless", "pid")
    assert (failure.kind, failure.header["type"]) == ("failure", "<its type has no name: SystemExit>")
    assert before.load() == after.load()


def test_a_traceback_begins_with_the_objective(evaluate):
    (failure,) = evaluate("value")
    assert "in do\n" in failure.header["traceback"]
    assert "evaluator.py" not in failure.header["traceback"]


@pytest.mark.parametrize("deed", ["surrogate", "long text"])
def test_the_words_of_a_failure_fit_a_message(evaluate, deed):
    (failure,) = evaluate(deed)
    for word in ("type", "message", "traceback"):
        assert len(failure.header[word].encode()) < INLINE_BYTES


def test_a_large_result_goes_through_a_file(evaluate):
    envelope = len(cloudpickle.dumps(bytes(2**16), 5)) - 2**16
    most = INLINE_BYTES - envelope
    small, large, larger = evaluate(most, most + 1, 3 * INLINE_BYTES)
    assert [small.in_file, large.in_file, larger.in_file] == [False, True, True]
    assert [len(each.load()) for each in (small, large, larger)] == [most, most + 1, 3 * INLINE_BYTES]


def test_an_argument_may_come_in_a_file(evaluate):
    (answer,) = evaluate(Request(evaluate.objective, 17, in_file=True))
    assert answer.load() == bytes(17)


def test_an_objective_is_unpickled_once_for_each_evaluator(evaluate, tmp_path):
    noted, objective = tmp_path / "noted", tmp_path / "counted"
    objective.write_bytes(cloudpickle.dumps(misdeeds.Counted(noted)))
    evaluate(*(Request(str(objective), argument) for argument in ("pid", "value", 5, "pid")))
    assert noted.read_bytes() == b"x"
    evaluate(*(Request(str(objective), argument) for argument in ("pid", "kill", "pid", "pid")))
    assert noted.read_bytes() == b"xxx"


def test_another_objective_takes_the_place_of_the_first(evaluate, tmp_path):
    noted, objective = tmp_path / "noted", tmp_path / "counted"
    objective.write_bytes(cloudpickle.dumps(misdeeds.Counted(noted)))
    counted = Request(str(objective), "pid")
    first, second, third, fourth = evaluate("pid", counted, "pid", counted)
    assert first.load() == second.load() == third.load() == fourth.load()
    assert noted.read_bytes() == b"xx"


def test_an_objective_that_cannot_be_unpickled_fails_its_trial_only(evaluate, tmp_path):
    objective = tmp_path / "broken"
    objective.write_bytes(b"cno_such_module\nname\n.")
    before, failure, after = evaluate("pid", Request(str(objective), 1), "pid")
    assert (failure.kind, failure.header["type"]) == ("failure", "ModuleNotFoundError")
    advice = failure.header["traceback"].partition("\n")[0]
    assert advice.startswith(
        "the objective cannot be loaded on this worker: No module named 'no_such_module'."
    )
    assert before.load() == after.load()


def test_a_run_cancelled_before_it_began_costs_no_evaluator(evaluate):
    cancelled, one, other = evaluate(Request(evaluate.objective, "kill", cancel=True), "pid", "pid")
    assert cancelled.kind == "cancelled"
    assert one.load() == other.load() != os.getpid()
