"""What becomes of a trial: results of every kind, failures of every kind, and never a second run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hyperopt import STATUS_FAIL, hp, pyll, rand
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import fmin
from sparkopt.errors import AllTrialsFailedError, EvaluatorDiedError, RemoteTraceback
from tests.support.study_tools import CASE, in_order, jobs

DIED = f"<class '{EvaluatorDiedError.__module__}.{EvaluatorDiedError.__qualname__}'>"

RESULTS = {
    0: "a float",
    1: "numpy's scalar",
    2: "an int",
    3: "a dictionary",
    4: "its own failure",
    5: "attachments",
    6: "status fail without a loss",
}
FAILURES = {
    7: "ValueError",
    8: "os._exit",
    9: "SIGKILL",
    10: "None",
    11: "a string",
    12: "no status",
    13: "no loss",
    14: "a lock",
    15: "SystemExit",
    16: "its own exception",
    17: "KeyboardInterrupt",
    18: "SIGSEGV",
}
LAST = 19


def make_objective(directory):
    def objective(case):
        import os
        import signal
        import tempfile
        import threading

        handle, _ = tempfile.mkstemp(dir=directory, prefix=f"case-{case}-")
        os.close(handle)

        class OurOwnError(Exception):
            def __init__(self, one, two):
                super().__init__(f"{one} and {two}")

        if case == 1:
            return np.float32(0.5)
        if case == 2:
            return 3
        if case == 3:
            return {"status": "ok", "loss": 2.5, "extra": {"depth": [1, 2]}}
        if case == 4:
            return {"status": "fail", "loss": -100.0, "why": "did not converge"}
        if case == 5:
            return {"status": "ok", "loss": 1.5, "attachments": {"model": b"weights"}}
        if case == 6:
            return {"status": "fail"}
        if case == 7:
            raise ValueError("case seven")
        if case == 8:
            os._exit(3)
        if case == 9:
            os.kill(os.getpid(), signal.SIGKILL)
        if case == 10:
            return None
        if case == 11:
            return "no loss at all"
        if case == 12:
            return {"loss": 1.0}
        if case == 13:
            return {"status": "ok"}
        if case == 14:
            return {"status": "ok", "loss": 1.0, "lock": threading.Lock()}
        if case == 15:
            raise SystemExit(4)
        if case == 16:
            raise OurOwnError("one", "two")
        if case == 17:
            raise KeyboardInterrupt
        if case == 18:
            os.kill(os.getpid(), signal.SIGSEGV)
        return float(case)

    return objective


@pytest.fixture(scope="module")
def searched(spark, tmp_path_factory):
    """One search over every case; with the files that objectives made and the jobs that Spark ran."""
    from sparkopt import SparkTrials

    directory = tmp_path_factory.mktemp("runs")
    trials = SparkTrials(2, spark_session=spark)
    before = jobs(spark)
    best = fmin(make_objective(str(directory)), CASE, in_order, LAST + 1, trials=trials, verbose=False)
    runs = Counter(int(path.name.split("-")[1]) for path in directory.iterdir())
    return trials, runs, jobs(spark) - before, best


def document_of(searched, case):
    return searched[0]._dynamic_trials[case]


def line_of(text):
    lines = Path(__file__).read_text(encoding="utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if text in line)


def error_of(searched, case):
    document = document_of(searched, case)
    assert document["state"] == JOB_STATE_ERROR
    assert document["book_time"] <= document["refresh_time"]
    kind, text = document["misc"]["error"]
    return kind, text


def test_every_case_ran_once(searched):
    assert searched[1] == dict.fromkeys(range(LAST + 1), 1)


def test_no_objective_takes_the_barrier_job_with_it(searched):
    assert len(searched[2]) == 1


def test_failed_trials_are_hidden_and_the_search_goes_on(searched):
    trials = searched[0]
    assert len(trials._dynamic_trials) == LAST + 1
    assert {document["tid"] for document in trials.trials} == {*RESULTS, LAST}
    assert trials.count_failed_trials() == len(FAILURES) + 2  # two results say that they are failures
    assert trials.count_successful_trials() == len(RESULTS) - 1
    assert trials.count_cancelled_trials() == 0
    assert trials.fmin_cancelled_reason is None
    hidden = [document["tid"] for document in trials.trials]
    trials.refresh()
    assert [document["tid"] for document in trials.trials] == hidden


@pytest.mark.parametrize("case", RESULTS, ids=RESULTS.get)
def test_results_are_done(searched, case):
    document = document_of(searched, case)
    assert document["state"] == JOB_STATE_DONE
    assert "error" not in document["misc"]


def test_results_are_hyperopts(searched):
    results = [document_of(searched, case)["result"] for case in range(5)]
    assert results[0] == {"loss": 0.0, "status": "ok"}
    assert results[1] == {"loss": 0.5, "status": "ok"}
    assert type(results[1]["loss"]) is float
    assert results[2] == {"loss": 3.0, "status": "ok"}
    assert results[3] == {"status": "ok", "loss": 2.5, "extra": {"depth": [1, 2]}}
    assert results[4] == {"status": STATUS_FAIL, "loss": -100.0, "why": "did not converge"}


def test_a_result_of_status_fail_is_never_the_best(searched):
    trials, _, _, best = searched
    assert trials.statuses()[4] == STATUS_FAIL
    assert best == {"case": 0} == trials.argmin


def test_attachments_leave_the_result(searched):
    trials, document = searched[0], document_of(searched, 5)
    assert document["result"] == {"status": "ok", "loss": 1.5}
    assert trials.trial_attachments(document)["model"] == b"weights"


def test_an_exception_leaves_its_type_and_remote_traceback(searched):
    kind, text = error_of(searched, 7)
    assert kind == str(ValueError)
    assert f'File "{__file__}", line {line_of("case seven")}, in objective' in text
    assert '    raise ValueError("case seven")\n' in text
    assert text.rstrip().endswith("ValueError: case seven")
    assert "evaluator.py" not in text


@pytest.mark.parametrize(
    ("case", "how"), [(8, "exit code 3"), (9, "killed by SIGKILL"), (18, "killed by SIGSEGV")]
)
def test_a_death_is_named(searched, case, how):
    kind, text = error_of(searched, case)
    assert kind == DIED
    assert how in text


@pytest.mark.parametrize(
    ("case", "kind"),
    [
        (10, "TypeError"),
        (11, "ValueError"),
        (12, "KeyError"),
        (13, "hyperopt.exceptions.InvalidLoss"),
        (14, "TypeError"),
        (15, "SystemExit"),
        (17, "KeyboardInterrupt"),
    ],
)
def test_what_is_no_result_is_a_failure(searched, case, kind):
    assert error_of(searched, case)[0] == f"<class '{kind}'>"


def test_an_exception_of_the_objectives_own(searched):
    kind, text = error_of(searched, 16)
    assert kind.endswith("OurOwnError'>")
    assert "one and two" in text


def test_all_failed(new_trials, tmp_path):
    directory = str(tmp_path)

    def objective(case):
        import os
        import tempfile

        os.close(tempfile.mkstemp(dir=directory)[0])
        raise RuntimeError(f"number {case}")

    trials = new_trials()
    with pytest.raises(
        AllTrialsFailedError, match=r"There are no evaluation tasks.* of 4 trials 4 failed"
    ) as caught:
        fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    assert isinstance(caught.value.__cause__, RemoteTraceback)
    assert "RuntimeError: number" in str(caught.value.__cause__)
    assert len(list(tmp_path.iterdir())) == 4
    assert trials.trials == []


def test_all_failed_without_argmin_is_none(new_trials):
    def objective(case):
        raise RuntimeError(case)

    trials = new_trials(parallelism=1)
    assert fmin(objective, CASE, rand.suggest, 1, trials=trials, verbose=False, return_argmin=False) is None


def test_a_space_that_raises_costs_those_trials_only(new_trials):
    def by_five(new_ids, domain, trials, seed):
        documents = in_order(new_ids, domain, trials, seed)
        for document in documents:
            document["misc"]["vals"]["case"] = [document["tid"] % 5]
        return documents

    space = {"x": pyll.as_apply([10.0, 20.0, 30.0])[hp.randint("case", 5)]}
    trials = new_trials()
    fmin(lambda point: point["x"], space, by_five, 10, max_queue_len=3, trials=trials, verbose=False)
    documents = trials._dynamic_trials
    assert [document["tid"] for document in documents if document["state"] == JOB_STATE_ERROR] == [3, 4, 8, 9]
    assert trials.losses() == [10, 20, 30, 10, 20, 30]
    kind, text = documents[3]["misc"]["error"]
    assert kind == str(IndexError)
    assert "IndexError" in text


def test_a_space_that_raises_every_time(new_trials):
    space = pyll.as_apply([])[hp.randint("case", 5)]
    trials = new_trials(parallelism=1)
    with pytest.raises(AllTrialsFailedError, match="of 3 trials 3 failed"):
        fmin(lambda point: point, space, rand.suggest, 3, trials=trials, verbose=False)


def test_large_arguments_and_results(new_trials):
    large = bytes(range(256)) * 4096 * 5  # five times what travels in a message

    def objective(point):
        return {"status": "ok", "loss": float(len(point["large"])), "back": point["large"][::-1]}

    space = {"large": large, "x": hp.uniform("x", 0, 1)}
    trials = new_trials()
    fmin(objective, space, rand.suggest, 3, trials=trials, verbose=False)
    assert trials.losses() == [len(large)] * 3
    assert all(result["back"] == large[::-1] for result in trials.results)


def test_large_attachments(new_trials):
    size = 30_000_000

    def objective(case):
        return {"status": "ok", "loss": case, "attachments": {"model": bytes(size), "name": f"case {case}"}}

    trials = new_trials()
    fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
    assert trials.results == [{"status": "ok", "loss": float(case)} for case in range(3)]
    for case, document in enumerate(trials.trials):
        attachments = trials.trial_attachments(document)
        assert attachments["name"] == f"case {case}"
        assert attachments["model"] == bytes(size)


def test_a_large_objective(new_trials):
    table = np.arange(500_000.0)

    def objective(case):
        return float(table[int(case)])

    trials = new_trials()
    fmin(objective, CASE, in_order, 4, trials=trials, verbose=False)
    assert trials.losses() == [0, 1, 2, 3]


def test_the_evaluator_has_no_need_of_hyperopt(new_trials):
    def objective(point):
        import sys

        loaded = sorted(
            {name.split(".")[0] for name in sys.modules} & {"hyperopt", "grpc", "mlflow", "scipy"}
        )
        return {"status": "ok", "loss": 0.0, "loaded": loaded}

    space = {"x": hp.uniform("x", 0, 1), "kind": hp.choice("kind", ["a", "b"])}
    trials = new_trials(parallelism=1)
    fmin(objective, space, rand.suggest, 2, trials=trials, verbose=False)
    assert [result["loaded"] for result in trials.results] == [[], []]


def test_broadcasts_and_the_threads_registry(spark, new_trials):
    context = spark.sparkContext
    data, others = context.broadcast([3.0, 4.0]), context.broadcast("somebody else's")
    registry = context._pickled_broadcast_vars
    registry.add(others)
    try:
        trials = new_trials()
        fmin(lambda case: data.value[int(case)], CASE, in_order, 2, trials=trials, verbose=False)
        assert trials.losses() == [3.0, 4.0]
        assert list(registry) == [others]
    finally:
        registry.clear()
        data.destroy()
        others.destroy()
