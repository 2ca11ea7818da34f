"""A child that an objective forks answers nothing: it ends where it leaves the objective."""

from __future__ import annotations

import signal

import cloudpickle
import pytest

from tests.worker import forks
from tests.worker.evaluations import Request


@pytest.mark.parametrize("way", forks.FORKS)
@pytest.mark.parametrize(
    ("how", "code"),
    [
        ("returns", 0),
        ("raises", 1),
        ("exits", 5),
        ("exits with a text", 1),
        ("exits without a code", 0),
        ("is interrupted", -signal.SIGINT),
    ],
)
def test_a_child_that_comes_out_ends_as_a_script_does(evaluate, way, how, code):
    evaluate.use(forks.fork)
    answers = evaluate((way, how), (way, how))
    assert [(answer.kind, answer.load()) for answer in answers] == [("result", code)] * 2


@pytest.mark.parametrize(("how", "code"), [("returns", 0), ("raises", 1), ("exits", 5)])
def test_a_child_that_comes_out_in_another_trial_disturbs_nobody(evaluate, how, code):
    evaluate.use(forks.let_the_children_out)
    first, second, third = evaluate(how, "now", "look")
    assert first.load() > 0
    assert second.load() == code
    assert third.kind == "result"


def test_what_a_child_raises_is_in_the_log(evaluate, capfd):
    evaluate.use(forks.fork)
    evaluate(("os.fork", "raises"), ("os.fork", "exits with a text"))
    lines = capfd.readouterr().err.splitlines()
    assert "[trial 1] ValueError: the child's" in lines
    assert lines[-1] == "[trial 2] the child's last words"


def test_a_thread_that_outlives_its_trial_may_fork(evaluate):
    evaluate.use(forks.fork_in_a_thread)
    first, second, third = evaluate("later", "now", "later")
    assert (first.kind, second.load(), third.kind) == ("result", [0], "result")


def test_a_process_that_is_left_running_goes_on_and_answers_nothing(evaluate):
    evaluate.use(forks.start_a_process)
    first, second, third = evaluate("later", "now", "later")
    assert (first.load(), second.load(), third.load()) == (None, -signal.SIGTERM, None)


def test_a_child_of_the_result_answers_nothing(evaluate):
    evaluate.use(forks.fork_while_it_is_pickled)
    assert [answer.load() for answer in evaluate(1, 2)] == ["True", "True"]


@pytest.mark.parametrize("deed", ["report", "ask"])
def test_a_child_can_neither_report_nor_ask_and_is_told_what_to_do(evaluate, tmp_path, deed):
    objective = tmp_path / "reports"
    objective.write_bytes(cloudpickle.dumps(forks.ReportInAChild()))
    first, second = evaluate(*[Request(str(objective), deed)] * 2)
    for answer in (first, second):
        assert answer.load().startswith("TrialError: ")
        assert "report it there" in answer.load()
        assert [header["name"] for _, header, _ in answer.heard] == ["the parent's"]
