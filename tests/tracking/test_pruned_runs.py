"""Runs of trials that were pruned: killed, as with MLflow's own storage for Optuna, and without a loss."""

from __future__ import annotations

from sparkopt import MedianStopping, TrialPruned, fmin, report
from tests.support.study_tools import CASE, in_order
from tests.tracking.runs import all_runs, children, main_runs


def objective(case):
    report(case - 5.0)
    if case == 3:
        return {"status": "fail", "pruned": True, "loss": -7.0, "depth": 4}
    if case:
        raise TrialPruned
    return case


def test_a_pruned_trials_run_is_killed_and_no_candidate_for_the_best(tracked_trials, store):
    trials = tracked_trials(parallelism=1, pruner=MedianStopping(warmup_steps=1))
    fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    assert (trials.count_pruned_trials(), trials.count_failed_trials()) == (3, 0)
    (main,) = main_runs(store)
    found = children(store, main)
    assert [found[tid].info.status for tid in range(4)] == ["FINISHED", "KILLED", "KILLED", "KILLED"]
    statuses = [found[tid].data.tags["trial_status"] for tid in range(4)]
    assert statuses == ["success", "pruned", "pruned", "pruned"]
    assert ["loss" in found[tid].data.metrics for tid in range(4)] == [True, False, False, False]
    assert found[3].data.metrics["depth"] == 4
    assert not {"error"} & (found[1].data.tags.keys() | found[3].data.tags.keys())
    metrics = main.data.metrics
    assert (metrics["pruned_trials_count"], metrics["failed_trials_count"]) == (3, 0)
    assert (metrics["best_loss"], metrics["best_trial_loss"]) == (0.0, 0.0)
    assert main.info.status == "FINISHED"


def within_runs_of_its_own(case):
    import mlflow

    outer = mlflow.start_run(nested=True, run_name=f"outer of {case}")
    with outer, mlflow.start_run(nested=True, run_name=f"inner of {case}"):
        if case:
            raise TrialPruned if case == 1 else ValueError("no")
    return case


def test_runs_that_with_closes_as_a_trial_stops_are_killed_like_its_own(tracked_trials, store):
    fmin(within_runs_of_its_own, CASE, in_order, 3, trials=tracked_trials(parallelism=1), verbose=False)
    ended = {run.info.run_name: run.info.status for run in all_runs(store)}
    for case, status in enumerate(["FINISHED", "KILLED", "FAILED"]):
        names = (f"trial {case}", f"outer of {case}", f"inner of {case}")
        assert [ended[name] for name in names] == [status] * 3
