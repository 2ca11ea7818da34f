"""What a trial changes around it, the next one in the same process does not see."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from sparkopt.worker import surroundings
from sparkopt.worker.surroundings import Surroundings
from tests.worker import traces


@pytest.mark.parametrize("how", ["", "failing: "], ids=["returns", "raises"])
def test_a_change_ends_with_its_trial(evaluate, how):
    evaluate.use(traces.change)
    requests = [each for change in traces.CHANGES for each in (how + change, "look")]
    before, *answers = evaluate("look", *requests)
    for change, changed, after in zip(traces.CHANGES, answers[::2], answers[1::2], strict=True):
        assert changed.kind == ("failure" if how else "result"), change
        assert after.kind == "result", change
        assert after.load() == before.load(), change


@pytest.mark.parametrize("how", ["", "failing: "], ids=["returns", "raises"])
@pytest.mark.parametrize("change", traces.SPENT)
def test_what_cannot_be_put_back_ends_with_its_process(evaluate, change, how):
    if change not in ("hard limit", "no files") and os.geteuid() != 0:
        pytest.skip("only root can do this")
    evaluate.use(traces.change)
    before, changed, after, again = evaluate("look", how + change, "look", "look")
    assert changed.kind == ("failure" if how else "result")
    first, then, last = (answer.load() for answer in (before, after, again))
    assert first["pid"] != then["pid"] == last["pid"]
    assert {**first, "pid": 0} == {**then, "pid": 0} == {**last, "pid": 0}


def test_what_loading_the_objective_changed_is_there_for_each_trial(evaluate, tmp_path):
    evaluate.use(traces.Loaded(tmp_path))
    first, _, third = evaluate("look", "leave", "look")
    assert first.load()["directory"] == str(tmp_path)
    assert first.load()["environment"]["LOADED"] == "yes"
    assert third.load() == first.load()


def test_a_directory_that_a_trial_removed_costs_nothing_but_itself(evaluate, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    evaluate.use(traces.Loaded(home))
    first, removed, _, last = evaluate("look", "remove", "leave", "look")
    assert removed.load() == {**first.load(), "directory": "gone"}
    assert last.load() == {**first.load(), "directory": "/"}


def test_a_handler_that_python_cannot_set_stays_and_hinders_nothing(monkeypatch):
    with monkeypatch.context() as patch:
        found = surroundings.getsignal
        patch.setattr(
            surroundings, "getsignal", lambda number: None if number == signal.SIGUSR2 else found(number)
        )
        before = Surroundings()
    monkeypatch.setenv("ADDED", "1")
    before_usr2 = signal.signal(signal.SIGUSR2, signal.SIG_IGN)
    try:
        before.restore()
        assert signal.getsignal(signal.SIGUSR2) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGUSR2, before_usr2)
    assert "ADDED" not in os.environ


def test_no_trial_draws_the_numbers_of_another(evaluate):
    # numpy is loaded before evaluators are forked: without a seed of its own each would draw the same.
    evaluate.use(traces.draw)
    answers = evaluate("plain", "die", "plain", "die", "plain", "plain")
    drawn = [answer.load() for answer in answers if answer.kind == "result"]
    assert len(drawn) == 4
    assert len({number for numbers in drawn for number in numbers}) == 8


def test_a_seed_ends_with_its_trial(evaluate):
    evaluate.use(traces.draw)
    seeded, one, seeded_again, other = (
        answer.load() for answer in evaluate("seed", "plain", "seed", "plain")
    )
    assert seeded == seeded_again
    assert one[0] != other[0]
    assert one[1] != other[1]


def test_seeding_loads_no_numpy():
    script = (
        "import sys; from sparkopt.worker.surroundings import renew_randomness; renew_randomness();"
        "print('numpy' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_result_is_sent_whatever_limits_its_trial_leaves(evaluate):
    evaluate.use(traces.return_more_than_its_limits_take)
    deep, large = evaluate("deep", "large")
    assert repr(deep.load()).count("[") == 201
    assert large.load() == bytes(2 << 20)
