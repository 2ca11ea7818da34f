"""What is Spark Connect's own way of doing things. A script; says how each scenario came out.

Has a Python process to itself, with a Spark Connect server of two slots.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from unittest.mock import patch

import cloudpickle
from pyspark.resource import ResourceProfileBuilder, TaskResourceRequests

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.core.records import Policy
from sparkopt.errors import SparkoptError
from sparkopt.spark.gang import Gang
from sparkopt.spark.session import default_parallelism, driver_host, slots
from tests.support import leftovers, study_tools
from tests.support.beside import objective_beside
from tests.support.connect_session import OFF, connect_session
from tests.support.study_tools import CASE, in_order, make_fifos, signal_at, take_ticket, wait_at

cloudpickle.register_pickle_by_value(study_tools)

SECONDS = 60
SETTINGS = {
    **OFF,
    "spark.connect.progress.reportInterval": "100ms",
    "spark.python.task.killTimeout": "100ms",
}
"""A client hears soon how many of its tasks run, and tasks that were killed give their slots back soon."""

QUICK = partial(fmin, space=CASE, algo=in_order, verbose=False)


def square(case):
    return case * case


def told(session, place):
    """What the session tells of the cluster."""
    return {
        "default": default_parallelism(session),
        "slots": slots(session),
        "host": driver_host(session),
        "none": SparkTrials(None).parallelism,
        "five": SparkTrials(5).parallelism,
    }


def searches(session, place):
    """The active session is used; two searches share a pool; a journal is gone on from."""
    journal = place / "journal"
    trials = SparkTrials(2, journal=journal)
    QUICK(square, max_evals=3, trials=trials)
    again = SparkTrials(2, journal=journal)
    QUICK(square, max_evals=6, trials=again)
    with WorkerPool(2) as pool:
        shared = [SparkTrials(pool=pool) for _ in range(2)]
        for each in shared:
            QUICK(square, max_evals=4, trials=each)
    return {"journal": sorted(again.losses()), "shared": [sorted(each.losses()) for each in shared]}


def own_modules(session, place):
    """An objective in a package beside the script."""
    trials = SparkTrials(2)
    QUICK(objective_beside(place), max_evals=3, trials=trials)
    return {"losses": sorted(trials.losses())}


def in_another_thread(session, place):
    """Spark Connect's sessions are their threads' own."""
    with ThreadPoolExecutor(1) as threads:
        trials = threads.submit(SparkTrials, 2).result(SECONDS)
        threads.submit(QUICK, square, max_evals=3, trials=trials).result(SECONDS)
    return {"losses": sorted(trials.losses())}


def a_trial_that_takes_too_long(session, place):
    make_fifos(place, "never")
    path = str(place / "never")
    trials = SparkTrials(1, trial_timeout=0.5)
    QUICK(lambda case: wait_at(path) if case == 1 else case, max_evals=3, trials=trials)
    return {"losses": trials.losses(), "failed": trials.count_failed_trials()}


def uses_the_session(session, place):
    return refused(lambda case: session.range(3).count() + case)


def uses_a_function_of_spark(session, place):
    from pyspark.sql.functions import col

    return refused(lambda case: str(col("x")) and case)


def holds_a_frame(session, place):
    frame = session.range(3)
    return refused(lambda case: frame.count() + case)


def makes_a_session(session, place):
    def objective(case):
        from pyspark.sql.connect.session import SparkSession

        return SparkSession.builder.getOrCreate().range(3).count() + case

    return refused(objective)


def refused(objective):
    return failure(lambda: QUICK(objective, max_evals=1, trials=SparkTrials(1)))


def a_profile(session, place):
    profile = ResourceProfileBuilder().require(TaskResourceRequests().cpus(2)).build
    try:
        trials = SparkTrials(1, resource_profile=profile)
    except SparkoptError as error:
        return {"error": type(error).__name__, "text": str(error)}
    QUICK(square, max_evals=2, trials=trials)
    return {"profile": trials.resource_profile, "losses": trials.losses()}


def slots_that_another_job_holds(session, place):
    """The workers do not come up; nothing of theirs is left, and then there is room."""
    make_fifos(place, "there", "go")
    with ThreadPoolExecutor(1) as threads:
        holding = threads.submit(hold_a_slot, session, str(place))
        wait_at(place / "there")
        said = failure(lambda: use_impatiently(session))
        signal_at(place / "go")
        holding.result(SECONDS)
    trials = SparkTrials(2)
    QUICK(square, max_evals=2, trials=trials)
    return {**said, "losses": sorted(trials.losses())}


def hold_a_slot(session, place):
    def hold(batches):
        for batch in batches:
            signal_at(f"{place}/there")
            wait_at(f"{place}/go")
            yield batch

    return session.range(0, 1, 1, 1).mapInArrow(hold, "id bigint").collect()


def use_impatiently(session, start=1.0):
    # Workers that never came need no time to leave.
    with (
        patch("sparkopt.pool.leaving._LEAVE_SECONDS", 0.1),
        WorkerPool(2, policy=Policy(start=start)) as pool,
    ):
        QUICK(square, max_evals=2, trials=SparkTrials(pool=pool))


def an_address_that_leads_nowhere(session, place):
    """Of those that are set aside for documentation. The tasks run, and nobody gets through."""
    session.conf.set("spark.sparkopt.driver.host", "192.0.2.77")
    session.conf.set("spark.sparkopt.driver.bindAddress", "127.0.0.1")
    try:
        return failure(lambda: use_impatiently(session, start=3.0))
    finally:
        session.conf.unset("spark.sparkopt.driver.host")
        session.conf.unset("spark.sparkopt.driver.bindAddress")


def a_worker_that_is_killed(session, place):
    """Its gang is launched again, and no trial is lost."""
    generations, launch, relaunched = [], Gang.launch, threading.Event()

    def launch_and_note(gang):
        launch(gang)
        generations.append(gang._spec.generation)
        if gang._spec.generation == 2:
            relaunched.set()

    def kill(trials, count=0):
        if count == 3:
            mine = leftovers.processes_of(os.environ[leftovers.MARK])
            next(each for each in mine if leftovers.is_worker(each) and each.children()).kill()
            assert relaunched.wait(SECONDS)
        return False, [count + 1]

    Gang.launch = launch_and_note
    try:
        trials = SparkTrials(2)
        QUICK(square, max_evals=20, trials=trials, early_stop_fn=kill)
    finally:
        Gang.launch = launch
    return {"trials": len(trials), "failed": trials.count_failed_trials(), "generations": generations}


def workers_that_are_not_needed_any_more(session, place):
    """A job of somebody else's has a slot while the last trial runs."""
    make_fifos(place, "there", "go")
    path = str(place)

    def objective(case):
        if case == 0:
            signal_at(f"{path}/there")
            wait_at(f"{path}/go")
        return case

    with ThreadPoolExecutor(1) as threads:
        trials = SparkTrials(2)
        running = threads.submit(QUICK, objective, max_evals=3, trials=trials)
        wait_at(place / "there")
        counted = int(session.range(0, 7, 1, 1).count())  # of NumPy on 3.5
        before = running.done()
        signal_at(place / "go")
        running.result(SECONDS)
    return {"counted": counted, "done": before, "losses": sorted(trials.losses())}


def ended_by(session, place, end):
    """What a search is told that somebody ends while its third trial runs."""
    make_fifos(place, "there", "never")
    path = str(place)

    def objective(case):
        if take_ticket(path) < 2:
            return case
        signal_at(f"{path}/there")
        return wait_at(f"{path}/never")

    with ThreadPoolExecutor(1) as threads:
        trials = SparkTrials(1)
        search = threads.submit(failure, lambda: QUICK(objective, max_evals=9, trials=trials))
        wait_at(place / "there")
        end()
        said = search.result(SECONDS)
    return {**said, "done": trials.count_successful_trials(), "cancelled": trials.count_cancelled_trials()}


def interrupted(session, place):
    return ended_by(session, place, session.interruptAll)


def stopped(session, place):
    """The last one."""
    said = ended_by(session, place, session.stop)
    return {**said, "given": failure(lambda: SparkTrials(1, spark_session=session))}


def failure(use):
    """The error that a use ends with."""
    try:
        use()
    except SparkoptError as error:
        return {"error": type(error).__name__, "text": str(error)}
    return {"error": None, "text": ""}


SCENARIOS = (
    told,
    searches,
    own_modules,
    in_another_thread,
    a_trial_that_takes_too_long,
    uses_the_session,
    uses_a_function_of_spark,
    holds_a_frame,
    makes_a_session,
    a_profile,
    slots_that_another_job_holds,
    an_address_that_leads_nowhere,
    a_worker_that_is_killed,
    workers_that_are_not_needed_any_more,
    interrupted,
    stopped,
)


def main():
    """All of them, on one session."""
    said = {}
    with connect_session("local[2]", SETTINGS) as session:
        for scenario in SCENARIOS:
            place = Path(scenario.__name__).absolute()
            place.mkdir()
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                outcome = scenario(session, place)
            words = [f"{each.category.__name__}: {each.message}" for each in caught]
            said[scenario.__name__] = {**outcome, "warnings": words}
    sys.stdout.write(f"{json.dumps(said)}\n")


if __name__ == "__main__":
    main()
