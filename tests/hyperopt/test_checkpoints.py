"""Checkpoints in searches of hyperopt's: a search that goes on from a journal hands them on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hyperopt.base import JOB_STATE_CANCEL

import sparkopt
from sparkopt import fmin
from tests.support.study_tools import CASE, in_order

WEIGHTS = bytes(range(256)) * 8192
"""What no message holds."""


def make_objective(there):
    """The first trial saves a checkpoint and is never done, unless it has one; the others wait for that."""

    def objective(case):
        found = sparkopt.load_checkpoint()
        if case == 0 and found is None:
            sparkopt.save_checkpoint({"epoch": 1, "weights": b""})
            sparkopt.save_checkpoint({"epoch": 2, "weights": WEIGHTS})
            there.touch()
            while True:
                time.sleep(0.02)
        while not there.exists():
            time.sleep(0.02)
        sparkopt.save_checkpoint(WEIGHTS)
        return case if found is None else found["epoch"] + len(found["weights"])

    return objective


@pytest.mark.parametrize("kind", ["file", "log"])
def test_a_search_that_goes_on_has_those_of_unfinished_trials(new_trials, tmp_path, kind):
    journal, objective = tmp_path / "journal", make_objective(tmp_path / "there")
    if kind == "log":
        journal.mkdir()
    arguments = {"algo": in_order, "max_evals": 3, "verbose": False}
    trials = new_trials(parallelism=2, journal=journal)
    fmin(objective, CASE, trials=trials, early_stop_fn=lambda trials: (True, []), **arguments)
    assert trials._dynamic_trials[0]["state"] == JOB_STATE_CANCEL
    assert len(saved_files(tmp_path)) == 1
    trials = new_trials(parallelism=2, journal=journal)
    fmin(objective, CASE, trials=trials, **arguments)
    assert trials.losses() == [2 + len(WEIGHTS), 1, 2]
    assert saved_files(tmp_path) == []


def saved_files(directory: Path):
    """Files and objects of checkpoints."""
    return [path for path in directory.rglob("*saved-*") if path.is_file()]
