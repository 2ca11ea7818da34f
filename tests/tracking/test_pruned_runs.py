"""Runs of trials that were pruned: killed, as with MLflow's own storage for Optuna, and without a loss."""

from __future__ import annotations

from sparkopt import MedianStopping, TrialPruned, fmin, report
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import children, main_runs


def objective(case):
    report(case - 5.0)
    if case:
        raise TrialPruned
    return case


def test_a_pruned_trials_run_is_killed_and_no_candidate_for_the_best(tracked_trials, store):
    trials = tracked_trials(parallelism=1, pruner=MedianStopping(warmup_steps=1))
    fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
    (main,) = main_runs(store)
    found = children(store, main)
    assert [found[tid].info.status for tid in range(3)] == ["FINISHED", "KILLED", "KILLED"]
    statuses = [found[tid].data.tags["trial_status"] for tid in range(3)]
    assert statuses == ["success", "pruned", "pruned"]
    assert ["loss" in found[tid].data.metrics for tid in range(3)] == [True, False, False]
    assert "error" not in found[1].data.tags
    metrics = main.data.metrics
    assert (metrics["pruned_trials_count"], metrics["failed_trials_count"]) == (2, 0)
    assert (metrics["best_loss"], metrics["best_trial_loss"]) == (0.0, 0.0)
    assert main.info.status == "FINISHED"
