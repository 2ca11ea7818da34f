"""A search in MLflow: a run for the call of fmin, a child of it for each trial, and what they say."""

from __future__ import annotations

import io
import itertools
import json
import os
import sys
import threading
import time
from importlib.util import find_spec

import mlflow
import numpy as np
import pytest
from hyperopt import hp, rand

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import AllTrialsFailedError
from sparkopt.tracking.recorded_study import left_to_write
from sparkopt.tracking.store import Store
from tests.support.mlflow_parts import needs_pictures
from tests.support.study_tools import (
    CASE,
    DEADLINE_SECONDS,
    blocking_from_the_third,
    in_order,
    make_fifos,
    signal_at,
)
from tests.tracking.runs import all_runs, artifacts, children, content, main_runs

SEED = 5
SPACE = {
    "case": CASE,
    "model": hp.choice("model", [{"name": "tree", "depth": hp.randint("depth", 9)}, "line"]),
}


def objective(point):
    if point["case"] == 1:
        raise ValueError("one is too few")
    return {
        "loss": 10.0 - point["case"],
        "status": "ok",
        "accuracy": np.float32(0.5),
        "good": True,
        "note": "text",
        "odd @name": 3,
    }


@pytest.fixture(scope="module")
def made(spark, shared_store):
    """One search of six trials, the second of which fails: its trials, its run, the children."""
    trials = SparkTrials(2, timeout=600, spark_session=spark, tracking=True)
    # pytest knows this module by its file's name, which workers cannot import.
    shipped = type(objective)(objective.__code__, {"np": np, "__builtins__": __builtins__})
    rstate = np.random.default_rng(SEED)
    fmin(shipped, SPACE, in_order, 6, trials=trials, rstate=rstate, loss_threshold=-9.0, verbose=False)
    (main,) = main_runs(shared_store)
    return trials, main, children(shared_store, main)


def test_the_call_of_fmin_is_a_run_of_its_own_with_what_is_known_of_it(made, shared_store):
    trials, main, found = made
    assert mlflow.active_run() is None
    assert main.info.status == "FINISHED"
    assert main.data.params == {
        "algo": "tests.support.study_tools.in_order",
        "max_evals": "6",
        "max_queue_len": "1",
        "parallelism": "2",
        "actual_parallelism": "2",
        "timeout": "600",
        "loss_threshold": "-9.0",
        "seed": str(SEED),
        **{f"best.{label}": value for label, value in found[5].data.params.items()},
    }
    assert main.info.run_name == "fmin objective in_order"
    tags = main.data.tags
    assert tags["runSource"] == "hyperoptAutoTracking"
    assert len(tags["fmin_uuid"]) == 6
    assert "model: one of 2" in tags["space"]
    assert tags["version.python"] == ".".join(map(str, sys.version_info[:3]))
    assert tags["version.mlflow"] == mlflow.__version__
    assert main.data.metrics == {
        "best_loss": 5.0,
        "best_trial_loss": 5.0,
        "successful_trials_count": 5.0,
        "failed_trials_count": 1.0,
        "cancelled_trials_count": 0.0,
        "total_trials_count": 6.0,
    }
    history = shared_store.get_metric_history(main.info.run_id, "best_loss")
    losses = [
        document["result"]["loss"]
        for document in sorted(trials.trials, key=lambda each: each["refresh_time"])
    ]
    assert len(history) == len(losses)
    assert sorted(metric.step for metric in history) == [1, 2, 3, 4, 5]
    by_step = [metric.value for metric in sorted(history, key=lambda metric: metric.step)]
    assert by_step == sorted(by_step, reverse=True)


def test_the_best_trial_and_the_space_are_there_to_read(made, shared_store):
    trials, main, _ = made
    assert main.data.tags["best_trial_tid"] == "5"
    by_value = shared_store.search_runs([main.info.experiment_id], "params.`best.case` = '5'")
    assert [run.info.run_id for run in by_value] == [main.info.run_id]
    best = json.loads(content(shared_store, main, "fmin/best_trial.json"))
    assert (best["tid"], best["loss"]) == (5, 5.0)
    assert best["argmin"] == {label: float(value) for label, value in trials.argmin.items()}
    assert best["point"]["case"] == 5
    assert b"depth = depth: " in content(shared_store, main, "fmin/space.txt").replace(b"int(", b"")


@needs_pictures
@pytest.mark.parametrize("name", ["loss_over_trials", "loss_by_parameter"])
def test_there_are_pictures(made, shared_store, name):
    from matplotlib import image

    picture = image.imread(io.BytesIO(content(shared_store, made[1], f"fmin/{name}.png")))
    assert picture.ndim == 3
    assert len(np.unique(picture.reshape(-1, picture.shape[2]), axis=0)) > 10


@needs_pictures
def test_a_search_that_took_long_gets_more_figures(tracked_trials, store, monkeypatch):
    monkeypatch.setattr("sparkopt.tracking.pictures.LONG", 0.0)
    monkeypatch.setattr("sparkopt.tracking.pictures.A_TRIAL", 0.0)
    space = {"x": hp.uniform("x", 0, 1), "y": hp.choice("y", ["a", "b"])}
    fmin(lambda point: point["x"], space, rand.suggest, 4, trials=tracked_trials(), verbose=False)
    (main,) = main_runs(store)
    figures = {name for name in artifacts(store, main) if name.endswith(".png")}
    assert figures >= {f"fmin/{name}.png" for name in ("parallel_coordinates", "workers")}
    assert ("fmin/parameter_importances.png" in figures) is (find_spec("optuna") is not None)


def test_without_matplotlib_there_are_no_pictures(tracked_trials, store, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    fmin(lambda case: case, CASE, in_order, 2, trials=tracked_trials(), verbose=False)
    (main,) = main_runs(store)
    assert main.info.status == "FINISHED"
    assert artifacts(store, main) == ["fmin/best_trial.json", "fmin/space.txt"]


def test_each_trial_is_a_child(made):
    trials, main, found = made
    assert sorted(found) == list(range(6))
    for document in trials.trials:
        run = found[document["tid"]]
        assert run.info.status == "FINISHED"
        assert run.info.run_name == f"trial {document['tid']}"
        assert run.info.start_time <= run.info.end_time
        vals = document["misc"]["vals"]
        chosen = int(vals["model"][0])
        assert run.data.params["model"] == ["tree", "line"][chosen]
        assert run.data.params["model.index"] == str(chosen)
        assert run.data.params["case"] == str(document["tid"])
        assert ("depth" in run.data.params) == (chosen == 0)
        metrics = dict(run.data.metrics)
        assert metrics.pop("seconds") > 0
        assert metrics == {"loss": document["result"]["loss"], "accuracy": 0.5, "odd _name": 3.0}
        tags = run.data.tags
        assert tags["trial_status"] == "success"
        assert tags["fmin_uuid"] == main.data.tags["fmin_uuid"]
        assert tags["mlflow.user"] == main.data.tags["mlflow.user"]
        assert tags["attempt"] == "1"
        assert tags["worker"].startswith("gang0.1/worker")
        assert tags["worker_host"]


def test_a_failed_trial_is_failed_with_its_traceback(made, shared_store):
    run = made[2][1]
    assert run.info.status == "FAILED"
    assert run.data.tags["trial_status"] == "failure"
    assert run.data.tags["error"] == "<class 'ValueError'>"
    assert b"one is too few" in content(shared_store, run, "error.txt")
    assert "loss" not in run.data.metrics


def test_a_trial_that_says_that_it_has_failed_is_failed(tracked_trials, store):
    def objective(case):
        return {"status": "fail", "loss": -9.0, "steps": 7} if case == 1 else case

    fmin(objective, CASE, in_order, 3, trials=tracked_trials(), verbose=False)
    (main,) = main_runs(store)
    assert main.info.status == "FINISHED"
    said = {kind: main.data.metrics[f"{kind}_trials_count"] for kind in ("successful", "failed", "total")}
    assert said == {"successful": 2, "failed": 1, "total": 3}
    assert main.data.metrics["best_loss"] == main.data.metrics["best_trial_loss"] == 0
    run = children(store, main)[1]
    assert (run.info.status, run.data.tags["trial_status"]) == ("FAILED", "failure")
    assert run.data.tags["error"] == "status 'fail'"
    assert (run.data.metrics["loss"], run.data.metrics["steps"]) == (-9, 7)


def test_a_search_without_a_success_has_failed(tracked_trials, store):
    fail = {"status": "fail"}
    with pytest.raises(AllTrialsFailedError):
        fmin(lambda case: fail, CASE, in_order, 2, trials=tracked_trials(), verbose=False)
    (main,) = main_runs(store)
    assert main.info.status == "FAILED"
    assert main.data.metrics["failed_trials_count"] == 2


def test_cancelled_trials_are_killed_and_what_never_ran_has_no_run(tracked_trials, store, tmp_path):
    make_fifos(tmp_path, "there", "never")
    # Two return, and then the early stop comes, with the third blocked and two that have not been submitted.
    trials = tracked_trials()
    block = blocking_from_the_third(tmp_path)
    points = [{"case": number} for number in range(5)]
    fmin(
        block,
        CASE,
        in_order,
        5,
        trials=trials,
        points_to_evaluate=points,
        early_stop_fn=lambda trials, *rest: (len(trials.trials) == 2, rest),
        verbose=False,
    )
    (main,) = main_runs(store)
    assert main.info.status == "FINISHED"
    assert main.data.metrics["cancelled_trials_count"] == trials.count_cancelled_trials() == 3
    found = children(store, main)
    statuses = [found[tid].info.status for tid in sorted(found)]
    assert statuses.count("FINISHED") == 2
    assert statuses.count("KILLED") == len(found) - 2 >= 1
    assert len(found) < 5
    killed = next(run for run in found.values() if run.info.status == "KILLED")
    assert killed.data.tags["trial_status"] == "cancelled"


def test_a_trial_that_ran_again_and_one_that_was_lost_have_one_run_each(spark, store, tmp_path):
    place = str(tmp_path)

    def objective(case):
        import os
        import signal

        import psutil

        if case in (1, 2):
            attempt = f"{place}/case-{int(case)}"
            if case == 2 or not os.path.exists(attempt):  # noqa: PTH110
                os.close(os.open(attempt, os.O_CREAT))
                # The nursery, and then process A: the worker's end.
                psutil.Process().parents()[1].kill()
                while True:
                    signal.pause()
        return case

    with WorkerPool(1, spark_session=spark, policy=Policy(relaunch_backoff=0.05)) as pool:
        trials = SparkTrials(pool=pool, tracking=True, max_attempts=2)
        fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    (main,) = main_runs(store)
    found = children(store, main)
    assert {tid: run.info.status for tid, run in found.items()} == {
        0: "FINISHED",
        1: "FINISHED",
        2: "FAILED",
        3: "FINISHED",
    }
    assert [found[tid].data.tags["attempt"] for tid in range(4)] == ["1", "2", "2", "1"]
    assert "TrialLostError" in found[2].data.tags["error"]
    assert content(store, found[2], "error.txt")


def test_what_is_left_to_write_is_shown(capsys):
    for shown in (True, False):
        with left_to_write(shown) as waiting:
            waiting(40)
            waiting(10)
        assert ("writing to MLflow" in capsys.readouterr().err) is shown


def test_two_searches_in_one_active_run(tracked_trials, store):
    with mlflow.start_run(run_name="both") as run:
        mlflow.log_param("max_evals", "the user's")
        for _ in range(2):
            fmin(lambda case: case, CASE, in_order, 3, trials=tracked_trials(), verbose=False)
            assert mlflow.active_run().info.run_id == run.info.run_id
    (main,) = main_runs(store)
    assert main.info.run_name == "both"
    runs = [each for each in all_runs(store) if each.info.run_id != main.info.run_id]
    uuids = {each.data.tags["fmin_uuid"] for each in runs}
    assert len(runs) == 6
    assert len(uuids) == 2
    first, second = main.data.tags["fmin_uuid"], (uuids - {main.data.tags["fmin_uuid"]}).pop()
    assert main.data.tags[f"fmin_uuid_{second}"] == second
    assert main.data.params["max_evals"] == "the user's"
    assert main.data.params[f"max_evals_{first}"] == main.data.params[f"max_evals_{second}"] == "3"
    assert main.data.params["algo"] == main.data.params[f"algo_{second}"]
    assert main.data.metrics["total_trials_count"] == main.data.metrics[f"total_trials_count_{second}"] == 3
    assert main.data.params["best.case"] == main.data.params[f"best.case_{second}"] == "0"
    assert {path.split("/")[0] for path in artifacts(store, main)} == {"fmin", f"fmin_{second}"}


def test_a_run_that_the_environment_names_keeps_its_name(tracked_trials, store, monkeypatch):
    run = store.create_run(os.environ["MLFLOW_EXPERIMENT_ID"], run_name="mine")
    monkeypatch.setenv("MLFLOW_RUN_ID", run.info.run_id)
    fmin(lambda case: case, CASE, in_order, 1, trials=tracked_trials(), verbose=False)
    (main,) = main_runs(store)
    assert (main.info.run_id, main.info.run_name) == (run.info.run_id, "mine")


def test_a_run_lasts_from_when_the_objective_was_loaded_until_its_trial_settled(
    tracked_trials, store, tmp_path, monkeypatch
):
    class SlowToLoad:
        """An objective that takes its time to be loaded, and writes down when it was."""

        def __init__(self, directory):
            self.directory = directory

        def __setstate__(self, state):
            import time
            from pathlib import Path

            self.__dict__.update(state)
            Path(self.directory, "loading").read_text()
            Path(self.directory, "loaded").write_text(str(time.time()))

        def __call__(self, case):
            from pathlib import Path

            if case == 0:
                Path(self.directory, "running").read_text()
            return case

    made = threading.Event()
    create = Store._create

    def create_and_say_so(*arguments):
        create(*arguments)
        made.set()

    def release():
        signal_at(tmp_path / "loading")
        in_time.append(made.wait(DEADLINE_SECONDS))  # while the objective runs, and the search only waits
        signal_at(tmp_path / "running")

    monkeypatch.setattr(Store, "_create", create_and_say_so)
    make_fifos(tmp_path, "loading", "running")
    in_time: list[bool] = []
    releasing = threading.Thread(target=release)
    releasing.start()
    began = time.time()
    fmin(
        SlowToLoad(str(tmp_path)),
        CASE,
        in_order,
        4,
        max_queue_len=4,
        trials=tracked_trials(1),
        verbose=False,
    )
    releasing.join()
    assert in_time == [True]
    (main,) = main_runs(store)
    runs = [run.info for _, run in sorted(children(store, main).items())]
    loaded = float((tmp_path / "loaded").read_text())
    assert began < loaded
    # Times are in whole milliseconds.
    assert runs[0].start_time >= loaded * 1000 - 1
    assert all(after.start_time >= before.end_time - 1 for before, after in itertools.pairwise(runs))
    assert all(run.start_time <= run.end_time for run in runs)


def test_a_trial_that_was_cancelled_before_it_ran_has_no_run(tracked_trials, store, tmp_path):
    make_fifos(tmp_path, "never")
    never = tmp_path / "never"

    def block(case):
        return never.read_text() if case == 1 else case

    # The first has ended, the second runs, and the third waits for the only worker.
    trials = tracked_trials(1)
    stop = {"early_stop_fn": lambda trials, *rest: (True, rest)}
    fmin(block, CASE, in_order, 3, max_queue_len=3, trials=trials, verbose=False, **stop)
    assert trials.count_cancelled_trials() == 2
    (main,) = main_runs(store)
    statuses = {tid: run.info.status for tid, run in children(store, main).items()}
    assert statuses == {0: "FINISHED", 1: "KILLED"}


@pytest.mark.parametrize(("error", "status"), [(KeyboardInterrupt, "KILLED"), (ZeroDivisionError, "FAILED")])
def test_a_search_that_ends_with_an_error_says_so(tracked_trials, store, error, status):
    def algo(new_ids, domain, trials, seed):
        if len(trials.trials) >= 2:
            raise error
        return rand.suggest(new_ids, domain, trials, seed)

    trials = tracked_trials(1)
    with pytest.raises(error):
        fmin(lambda case: case, CASE, algo, 9, trials=trials, verbose=False)
    (main,) = main_runs(store)
    assert main.info.status == status
    assert mlflow.active_run() is None
    assert main.data.metrics["successful_trials_count"] == 2
    assert main.data.params["best.case"] == str(trials.argmin["case"])


def test_an_active_run_is_left_as_it_is_after_an_error(tracked_trials, store):
    def algo(*_):
        raise ZeroDivisionError

    with mlflow.start_run() as run:
        with pytest.raises(ZeroDivisionError):
            fmin(lambda case: case, CASE, algo, 9, trials=tracked_trials(), verbose=False)
        assert store.get_run(run.info.run_id).info.status == "RUNNING"
        assert mlflow.active_run().info.run_id == run.info.run_id


def test_a_resumed_search_logs_what_it_runs_itself(tracked_trials, store, tmp_path):
    for evals in (3, 5):
        trials = tracked_trials(journal=tmp_path / "journal")
        fmin(lambda case: case, CASE, in_order, evals, trials=trials, verbose=False)
    first, second = main_runs(store)
    assert sorted(children(store, first)) == [0, 1, 2]
    assert sorted(children(store, second)) == [3, 4]
    assert second.data.metrics["total_trials_count"] == 5
