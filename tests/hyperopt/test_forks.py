"""Processes forked from a driver: uses of its session or gRPC are refused, and the driver works on."""

from __future__ import annotations

import json
import multiprocessing
import os
import pickle
import select
import signal
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from sparkopt import ControlClient, SparkTrials, WorkerPool, fmin
from sparkopt.coordinator import ObjectiveSpec
from sparkopt.spark.session import get_session
from tests.hyperopt import forked
from tests.support.scripts import run_script
from tests.support.study_tools import CASE, DEADLINE_SECONDS, in_order

# The driver has threads, which is what is wrong with forking it.
pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def said_by_a_child(*actions):
    """Fork, and have the child do what it can; what each action has raised, or returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        said = []
        for action in actions:
            try:
                said.append(f"returned {action()!r}")
            except BaseException as error:
                said.append(f"{type(error).__name__}: {error}")
        os.write(writer, json.dumps(said).encode())
        os._exit(0)
    os.close(writer)
    try:
        with os.fdopen(reader, "rb") as stream:
            came, _, _ = select.select([stream], [], [], DEADLINE_SECONDS)
            said = json.loads(stream.read()) if came else []
    finally:
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
    assert len(said) == len(actions), f"the child has ended: {os.waitstatus_to_exitcode(status)}"
    return said


def search(trials=None):
    trials = trials or SparkTrials(1)
    fmin(lambda case: -case, CASE, in_order, 2, trials=trials, verbose=False)
    return trials.losses()


def assert_refused(said):
    for text in said:
        assert text.startswith("RefusedError: "), text
        assert "was forked from" in text
        assert "spawn" in text


def test_what_needs_the_drivers_session_is_refused(spark, new_trials):
    before = new_trials(1)
    assert search(before) == [0, -1]
    copied = pickle.dumps(before)
    assert_refused(
        said_by_a_child(
            search,
            lambda: search(before),
            lambda: search(pickle.loads(copied)),
            lambda: SparkTrials(1, spark_session=spark),
            lambda: WorkerPool(1, spark_session=spark),
            lambda: get_session(spark),
        )
    )
    assert search(new_trials(1)) == [0, -1]


def test_a_pool_and_its_clients_are_those_of_the_process_that_opened_them(spark):
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        address, token = pool.control_address, pool.control_token
        with ControlClient(address, token=token) as client:
            trials = SparkTrials(pool=pool)
            assert_refused(
                said_by_a_child(
                    lambda: search(SparkTrials(pool=pool)),
                    lambda: search(trials),
                    lambda: pool.open_study(ObjectiveSpec(b"")),
                    lambda: pool.open_evaluation(abs),
                    pool.__enter__,
                    client.status,
                    client.workers,
                    lambda: ControlClient(address, token=token),
                )
            )
            assert said_by_a_child(pool.close, client.close) == ["returned None"] * 2
            # Neither has touched what is the driver's.
            assert pool.is_open
            assert search(trials) == [0, -1]
            assert len(client.workers()) == 1


def test_a_callback_that_forks_has_a_child_that_does_not_search_on(spark):
    reader, writer = os.pipe()
    driver = os.getpid()
    children = []

    def fork_once(trials):
        if not children:
            children.append(os.fork())
        return False, []

    trials = SparkTrials(1, spark_session=spark)
    try:
        fmin(
            float, CASE, in_order, 3, trials=trials, early_stop_fn=lambda *_: fork_once(trials), verbose=False
        )
    except BaseException as error:
        if os.getpid() != driver:
            os.write(writer, f"{type(error).__name__}: {error}".encode())
        else:
            raise
    finally:
        if os.getpid() != driver:
            os._exit(0)
    os.close(writer)
    assert trials.losses() == [0, 1, 2]
    with os.fdopen(reader) as stream:
        assert_refused([stream.read()])
    os.waitpid(children[0], 0)


def test_processes_of_the_standard_library(spark):
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("fork")) as executor:
        refused = executor.submit(search).exception(DEADLINE_SECONDS)
    assert_refused([f"{type(refused).__name__}: {refused}"])


@pytest.mark.timeout(180)
def test_a_child_that_was_forked_before_there_was_a_session_searches(tmp_path):
    assert run_script(Path(forked.__file__), tmp_path, seconds=150) == {"case": 1}
