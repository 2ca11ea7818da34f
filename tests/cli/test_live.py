"""The live table of ``sparkopt watch``: last values of running trials, and trials without a result."""

from __future__ import annotations

import dataclasses
import io

from rich.console import Console

from sparkopt.cli.live import Screen
from sparkopt.client import (
    Event,
    EventKind,
    IntermediateValue,
    PoolStatus,
    StudyInfo,
    StudyKind,
    TrialCounts,
    TrialInfo,
    TrialState,
    WorkerInfo,
    WorkerState,
)

COUNTS = TrialCounts(submitted=9, pending=0, leased=1, ok=3, failed=2, cancelled=0, lost=1, pruned=2)
TRIAL = TrialInfo(
    "fmin", 5, TrialState.LEASED, {}, 1, "gang0.1/worker0", "", None, None, None, 0.0, None, "", ""
)


class Service:
    """A control service of one study and one worker."""

    def status(self):
        study = StudyInfo("fmin", StudyKind.SEARCH, None, None, COUNTS, 0.25, 3)
        ended = dataclasses.replace(study, name="before", best_loss=None)
        return PoolStatus("pool", "0", None, 1, 1, False, 1, COUNTS, 0.0, 0.0, 7, (ended, study))

    def workers(self):
        return [WorkerInfo("gang0.1/worker0", WorkerState.BUSY, "host", 1, 0, 1, None, "fmin", 5, 3, 1.0, ())]


def settled(state, tid, reason=""):
    trial = dataclasses.replace(TRIAL, tid=tid, state=state, reason=reason)
    return Event(9, EventKind.SETTLED, None, trial=trial)


def value(tid, step, reported):
    return Event(8, EventKind.VALUE, None, value=IntermediateValue("fmin", tid, 1, step, reported))


def drawn(screen):
    console = Console(file=io.StringIO(), width=160)
    console.print(screen.draw())
    return console.file.getvalue()


def test_a_study_says_how_its_trials_have_ended():
    screen = Screen()
    screen.ask(Service())
    assert "fmin: 1 running, 3 ok, 2 failed, 2 pruned, 1 lost, best loss 0.25 (trial 3)" in drawn(screen)


def test_a_running_trial_shows_its_last_value():
    screen = Screen()
    screen.ask(Service())
    screen.add(value(5, 1, 0.5))
    screen.add(value(5, 2, 0.25))
    assert "0.25 at step 2" in drawn(screen)
    assert "0.5 at step 1" not in drawn(screen)


def test_the_last_that_failed_and_the_last_that_was_pruned_stay():
    screen = Screen()
    screen.add(value(6, 4, 0.75))
    screen.add(settled(TrialState.PRUNED, 6))
    screen.add(settled(TrialState.FAILED, 7, "ValueError: first"))
    screen.add(settled(TrialState.FAILED, 8, "ValueError: sec\x1bond"))
    for tid in range(10, 30):
        screen.add(settled(TrialState.OK, tid))
    shown = drawn(screen)
    assert "last pruned: fmin/6 at 0.75 at step 4 on gang0.1/worker0" in shown
    assert "last failed: fmin/8 on gang0.1/worker0 (ValueError: sec\\x1bond)" in shown
    assert "first" not in shown
