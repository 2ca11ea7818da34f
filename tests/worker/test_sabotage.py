"""Whatever an objective does to the evaluator's own means costs its own trial at most, and never the next."""

from __future__ import annotations

import pytest

from sparkopt.wire.limits import INLINE_BYTES
from tests.worker import sabotage


@pytest.mark.parametrize("what", sabotage.WRITTEN)
def test_what_no_evaluator_writes_costs_the_evaluator(evaluate, what):
    evaluate.use(sabotage.write_what_no_evaluator_writes)
    before, during, after, again = evaluate("pid", (what, 2), "pid", "pid")
    assert (during.kind, during.ended) == ("ended", "killed by SIGKILL")
    assert during.fault
    assert before.load() != after.load() == again.load()


@pytest.mark.parametrize("what", sabotage.REPLACED)
def test_functions_that_a_trial_replaces_are_there_again_for_the_next(evaluate, what):
    evaluate.use(sabotage.replace_a_function)
    before, during, after = evaluate("use", what, "use")
    assert (during.kind, during.kind == "result" and during.load()) == ("result", 0.25)
    assert during.header["loss"] == 0.25
    assert after.load()[1:] == before.load()[1:] == (True, True, True)


@pytest.mark.parametrize("what", sabotage.REPLACED_FOR_GOOD)
def test_functions_that_stay_replaced_hinder_no_trial(evaluate, what):
    evaluate.use(sabotage.replace_for_good)
    before, during, after = evaluate("pid", what, "pid")
    assert before.load() == during.load() == after.load()


@pytest.mark.parametrize("size", [10, 3 * INLINE_BYTES, None], ids=["small", "large", "raises"])
@pytest.mark.parametrize("what", sabotage.CLOSED)
def test_descriptors_that_a_trial_closes_cost_no_result(evaluate, capfd, what, size):
    evaluate.use(sabotage.close)
    before, during, after = evaluate("print", (what, size), "print")
    if size is None:
        assert (during.kind, during.header["message"]) == ("failure", "with everything closed")
    else:
        assert (during.kind, len(during.load())) == ("result", size)
    assert before.kind == after.kind == "result"
    said = capfd.readouterr().err.splitlines()
    assert [line for line in said if "sparkopt:" not in line] == [
        f"[trial {number}] {word}" for number in (1, 3) for word in ("printed", "written")
    ]


@pytest.mark.parametrize("what", ["standard output and error", "the first hundred", "output into a file"])
def test_an_evaluator_that_has_lost_what_it_can_mend_goes_on(evaluate, what):
    evaluate.use(sabotage.close)
    before, _, after = evaluate("print", (what, 10), "print")
    assert before.load() == after.load()


def test_an_evaluator_without_a_way_home_ends(evaluate, tmp_path):
    evaluate.use(sabotage.close_all_and_remove_the_directory)
    before, during = evaluate("pid", str(tmp_path / "payloads"))
    assert before.kind == "result"
    assert (during.kind, during.unheard) == ("ended", True)
