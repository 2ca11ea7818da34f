"""Objectives that ask for hyperopt's Ctrl: what they are given, and what becomes of what they do with it."""

from __future__ import annotations

import hyperopt
import numpy as np
import pytest
from hyperopt import base, hp, pyll, rand
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR, JOB_STATE_RUNNING

from sparkopt import fmin
from sparkopt.errors import SparkoptWarning
from tests.support.study_tools import CASE, in_order, make_fifos, signal_at, wait_at

SPACE = {"x": hp.uniform("x", 0, 1), "kind": hp.choice("kind", ["a", {"y": hp.normal("y", 0, 1)}])}


def test_it_is_given_what_serial_hyperopt_gives(new_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def evaluates_itself(expr, memo, ctrl):
        point = pyll.rec_eval(expr, memo=memo)
        trial = ctrl.current_trial
        return {
            "status": "ok",
            "loss": point["x"],
            "point": point,
            "trial": {key: trial[key] for key in ("tid", "state", "misc", "result", "exp_key", "version")},
            "has_times": trial["book_time"] is not None and trial["book_time"] == trial["refresh_time"],
            "trials": [each["tid"] for each in ctrl.trials.trials],
        }

    mine, theirs = new_trials(parallelism=1), hyperopt.Trials()
    for trials in (mine, theirs):
        search = fmin if trials is mine else hyperopt.fmin
        search(
            evaluates_itself,
            SPACE,
            rand.suggest,
            6,
            trials=trials,
            rstate=np.random.default_rng(3),
            verbose=False,
        )
    for ours, reference in zip(mine.results, theirs.results, strict=True):
        assert ours.pop("trials") == [reference["trial"]["tid"]]  # the worker knows of its own trial alone
        reference.pop("trials")
        assert ours == reference


def test_it_may_be_asked_for_by_the_call(new_trials):
    def plain(expr, memo, ctrl):
        return pyll.rec_eval(expr, memo=memo)["x"]

    trials = new_trials(parallelism=1)
    fmin(plain, SPACE, rand.suggest, 3, trials=trials, pass_expr_memo_ctrl=True, verbose=False)
    assert trials.losses() == trials.vals["x"]


def test_a_space_may_ask_for_it(new_trials):
    def objective(point):
        point["ctrl"].attachments["x"] = point["x"]
        return point["x"]

    trials = new_trials(parallelism=1)
    space = {"x": hp.uniform("x", 0, 1), "ctrl": base.Domain.pyll_ctrl}
    fmin(objective, space, rand.suggest, 3, trials=trials, verbose=False)
    assert [trials.trial_attachments(each)["x"] for each in trials.trials] == trials.losses()


def test_a_checkpoint_is_there_while_the_trial_runs(new_trials, tmp_path):
    make_fifos(tmp_path, "there", "go")
    place = str(tmp_path)
    seen = []

    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        tid = ctrl.current_trial["tid"]
        if tid == 0:
            ctrl.checkpoint({"status": "running", "loss": 5.0})
            signal_at(f"{place}/there")
            wait_at(f"{place}/go")
        ctrl.checkpoint()
        return float(tid)

    def look(new_ids, domain, trials, seed):
        if new_ids == [3]:
            # Trial 1 has finished, and was sent after the checkpoint had arrived.
            first = trials.trials[0]
            seen.append((first["state"], first["result"]))
            signal_at(tmp_path / "go")
        return in_order(new_ids, domain, trials, seed)

    def wait_for_the_checkpoint(new_ids, domain, trials, seed):
        if new_ids == [1]:
            wait_at(tmp_path / "there")
        return look(new_ids, domain, trials, seed)

    trials = new_trials()
    fmin(objective, CASE, wait_for_the_checkpoint, 4, trials=trials, verbose=False)
    assert seen == [(JOB_STATE_RUNNING, {"status": "running", "loss": 5.0})]
    assert trials.losses() == [0.0, 1.0, 2.0, 3.0]


def test_a_checkpoint_and_attachments_outlive_a_trial_that_dies(new_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        import os

        ctrl.attachments["state"] = b"x" * 3_000_000
        ctrl.attachments["wrong"] = 1
        del ctrl.attachments["wrong"]
        ctrl.trials.attachments["for all"] = ctrl.current_trial["tid"]
        assert "state" in ctrl.attachments
        assert "wrong" not in ctrl.attachments
        assert len(ctrl.attachments["state"]) == 3_000_000
        ctrl.checkpoint({"status": "ok", "loss": 7.5})
        if ctrl.current_trial["tid"] == 0:
            os._exit(3)
        return 1.0

    trials = new_trials(parallelism=1)
    fmin(objective, CASE, in_order, 2, trials=trials, verbose=False)
    dead, done = trials._dynamic_trials
    assert (dead["state"], dead["result"]) == (JOB_STATE_ERROR, {"status": "ok", "loss": 7.5})
    assert (done["state"], done["result"]) == (JOB_STATE_DONE, {"status": "ok", "loss": 1.0})
    for document in (dead, done):
        assert trials.trial_attachments(document)["state"] == b"x" * 3_000_000
        assert "wrong" not in trials.trial_attachments(document)
    assert trials.attachments["for all"] == 1
    assert len(trials.attachments) == 3


def test_results_of_other_trials_can_be_injected(new_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        trial = ctrl.current_trial
        if trial["tid"] == 1:
            misc = {"idxs": {"case": [100]}, "vals": {"case": [41]}, "cmd": None, "tid": 100}
            ctrl.inject_results([None], [{"status": "ok", "loss": -3.0}], [misc], new_tids=[100])
        return float(trial["tid"])

    heard = []

    def early_stop(trials):
        heard.append(trials.trials[-1]["tid"])
        return False, []

    trials = new_trials(parallelism=1)
    best = fmin(objective, CASE, in_order, 3, trials=trials, early_stop_fn=early_stop, verbose=False)
    assert [each["tid"] for each in trials.trials] == [0, 1, 100, 3]  # hyperopt counts ids
    assert best == {"case": 41}
    assert heard == [0, 1, 3]


def test_what_the_driver_cannot_take_is_warned_of(new_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        class Unbuildable:
            def __reduce__(self):
                return int, ("no number",)

        ctrl.checkpoint(Unbuildable())
        return 1.0

    trials = new_trials(parallelism=1)
    with pytest.warns(SparkoptWarning, match="trial 0 sent a checkpoint that cannot be taken: ValueError"):
        fmin(objective, CASE, in_order, 1, trials=trials, verbose=False)
    assert trials.losses() == [1.0]


def test_a_traceback_begins_with_the_objective(new_trials):
    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        raise ValueError("mine")

    trials = new_trials(parallelism=1)
    fmin(objective, CASE, in_order, 1, trials=trials, verbose=False, return_argmin=False)
    kind, text = trials._dynamic_trials[0]["misc"]["error"]
    assert kind == str(ValueError)
    assert "in objective" in text
    assert "sparkopt" not in text
    assert f'{__file__}", line ' in text
