"""A search's cell: what it shows while trials run, and where there is none."""

from __future__ import annotations

import sys
import time
from array import array
from types import SimpleNamespace

import pytest
from hyperopt import progress

from sparkopt import fmin
from sparkopt.core.states import Outcome
from sparkopt.notebook.cell_output import Drawing, LiveOutput, shell
from sparkopt.notebook.search_cell import SearchCell
from sparkopt.study.failures import Failures
from sparkopt.study.trial_record import Proposal, TrialRecord
from tests.support.study_tools import CASE, in_order


class Notebook:
    """Stands for IPython in a notebook's kernel. Keeps what its one cell shows."""

    def __init__(self, shell):
        self.shell = shell
        self.shown = []
        self.display = SimpleNamespace(display=self.show)

    def get_ipython(self):
        return self.shell

    def show(self, bundle, *, raw, display_id):
        assert raw
        assert display_id
        self.update(bundle, raw=True)
        return self

    def update(self, bundle, *, raw):
        self.shown.append(bundle["text/plain"])


@pytest.fixture
def notebook(monkeypatch):
    """A notebook in this process."""
    found = Notebook(SimpleNamespace(kernel=object()))
    monkeypatch.setitem(sys.modules, "IPython", found)
    return found


@pytest.mark.parametrize(
    ("found", "is_notebook"),
    [
        (None, False),
        (SimpleNamespace(config={}), False),  # IPython on a terminal
        (SimpleNamespace(kernel=None), False),
        (SimpleNamespace(kernel=object()), True),
        (SimpleNamespace(config={"IPKernelApp": {}}), True),  # others that are derived from it
    ],
)
def test_a_notebook_is_told_from_a_terminal(monkeypatch, found, is_notebook):
    monkeypatch.setitem(sys.modules, "IPython", Notebook(found))
    assert (shell() is not None) is is_notebook


def test_without_ipython_there_is_no_notebook(monkeypatch):
    monkeypatch.delitem(sys.modules, "IPython", raising=False)
    assert shell() is None


def cell(total=10, **more):
    best = []
    made = SearchCell(2, total, Failures(), 2, lambda: min(best, default=None), **more)
    return made, made._failures, best


def text(shown):
    return shown._draw().text


def record(tid):
    return TrialRecord(Proposal(tid, {}))


def settle(shown, tid, outcome=Outcome.OK):
    ended = record(tid)
    ended.outcome = outcome
    shown.settled(ended)


def test_a_search_from_its_start_to_its_end():
    shown, failures, best = cell()
    shown.opened(None)
    shown.workers(1)
    assert text(shown) == "2 of 10 trials, starting workers: 1 of 2, 0:00"
    shown.workers(2)
    assert text(shown) == "2 of 10 trials, 0:00"
    shown.started(record(2))
    shown.started(record(3))
    values = SimpleNamespace(steps=array("q", [3, 7]), values=array("d", [0.5, 0.25]))
    shown.reported(record(3), values)
    assert text(shown) == "2 of 10 trials, 2 running, 0:00, trial 3: 0.25 at step 7"
    settle(shown, 3, Outcome.PRUNED)
    best.append(1.25)
    settle(shown, 2)
    failures.raised(4, "<class 'ValueError'>", "no")
    settle(shown, 4, Outcome.FAILED)
    settle(shown, 5, Outcome.CANCELLED)
    assert text(shown) == ("5 of 10 trials, best loss 1.25, 1 failed, 1 pruned, 0:00, about 0:00 left")
    html = shown._draw().html
    assert "width:30.00%" in html
    assert "width:10.00%" in html
    shown.asked(5)
    assert text(shown).startswith("5 of 15 trials, ")
    shown.waits_for("writing to MLflow, 1 record left")
    assert text(shown).endswith(", writing to MLflow, 1 record left")


def test_the_time_that_is_left():
    shown, _, _ = cell(12)
    shown._began = shown._first = time.monotonic() - 600
    shown.workers(2)
    settle(shown, 2)
    settle(shown, 3)
    assert text(shown).endswith(", 10:00, about 40:00 left")
    shown._deadline = time.monotonic() + 300.4
    assert text(shown).endswith(", 10:00, about 5:00 left")


def test_a_search_without_an_end_has_no_bar_and_no_time_left():
    shown, _, _ = cell(sys.maxsize + 2)
    settle(shown, 2)
    assert text(shown).startswith("3 trials, ")
    assert "left" not in text(shown)
    assert "width:" not in shown._draw().html.replace("max-width:", "")


def test_many_running_trials_show_the_values_of_some():
    shown, _, _ = cell()
    for tid in range(10):
        shown.started(record(tid))
        shown.reported(record(tid), SimpleNamespace(steps=[0], values=[float(tid)]))
    assert text(shown).endswith("trial 7: 7 at step 0, 2 more")


def test_fmin_shows_itself_in_the_cell_and_leaves_a_line(new_trials, notebook, capsys):
    trials = new_trials(parallelism=1, tracking=False)
    fmin(float, CASE, in_order, 3, trials=trials)
    assert notebook.shown[0].startswith("0 of 3 trials, starting workers: 0 of 1")
    assert notebook.shown[-2].startswith("3 of 3 trials, best loss 0, ")
    assert notebook.shown[-1].startswith("3 trials in ")
    assert ": 3 ok. Best loss 0 (trial 0). The workers were busy " in notebook.shown[-1]
    fmin(float, CASE, in_order, 5, trials=trials)
    assert ": 2 ok, 5 with earlier ones. Best loss 0 (trial 0)." in notebook.shown[-1]
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("quiet", [{"verbose": False}, {"show_progressbar": False}, "own bar"])
def test_fmin_shows_nothing_in_the_cell_if_it_is_told_to_be_quiet(new_trials, notebook, monkeypatch, quiet):
    if quiet == "own bar":  # somebody has another bar for all searches
        monkeypatch.setattr(progress, "default_callback", progress.no_progress_callback)
        quiet = {}
    fmin(float, CASE, in_order, 1, trials=new_trials(parallelism=1, tracking=False), **quiet)
    assert notebook.shown == []


def test_an_output_is_drawn_again_while_it_lasts(notebook):
    left = list("abc")

    def draw():
        return Drawing("", left.pop(0) if len(left) > 1 else left[0])

    with LiveOutput(draw, seconds=0.001):
        deadline = time.monotonic() + 30
        while notebook.shown != ["a", "b", "c"] and time.monotonic() < deadline:
            time.sleep(0.001)
    assert notebook.shown == ["a", "b", "c"]


def test_a_notebook_that_cannot_show_it_costs_nothing_else(notebook):
    def draw():
        raise ZeroDivisionError

    with LiveOutput(draw):
        pass
    assert notebook.shown == []
