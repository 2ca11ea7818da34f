"""Ctrl-C at every stage of a search, once or twice: it reaches the caller, and everything still ends."""

from __future__ import annotations

import os
import signal
import threading

import psutil
import pytest
from hyperopt.base import JOB_STATE_CANCEL

from sparkopt import fmin
from sparkopt.coordinator import Coordinator
from sparkopt.hyperopt.documents import Documents
from sparkopt.spark.gang import Gang
from tests.support.study_tools import CASE, DEADLINE_SECONDS, hear, in_order, make_fifos, signal_at, wait_at


def strike():
    """Presses Ctrl-C as a user does, whatever the main thread waits for."""
    signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)


@pytest.fixture
def strike_in(monkeypatch):
    """Have the user press Ctrl-C when somebody calls a method, the first so many times."""

    def patch(kind, name, times=1):
        real, left = getattr(kind, name), [None] * times

        def struck(*arguments, **keywords):
            if left:
                left.pop()
                strike()
            return real(*arguments, **keywords)

        monkeypatch.setattr(kind, name, struck)

    return patch


@pytest.fixture(params=[signal.SIG_DFL, SystemExit], ids=["KeyboardInterrupt", "SystemExit"])
def raised(request):
    """Exception that Ctrl-C raises: by pyspark's handler, which also cancels all jobs, or by the user's."""
    if request.param is signal.SIG_DFL:
        yield KeyboardInterrupt
        return

    def leave(*_):
        raise SystemExit(3)

    before = signal.signal(signal.SIGINT, leave)
    yield SystemExit
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def search(new_trials, tmp_path):
    """A search whose first trial never ends; it presses Ctrl-C once that runs, if it is to."""
    make_fifos(tmp_path, "there", "never")
    place = str(tmp_path)

    def run(raised, *, impatient=True, obstinate=False):
        def objective(case):
            import signal

            if obstinate:  # a worker that cannot be sent away: its job has to be cancelled
                psutil.Process(os.getppid()).parent().send_signal(signal.SIGSTOP)
            signal_at(f"{place}/there")
            return wait_at(f"{place}/never")

        def press():
            if hear(f"{place}/there", DEADLINE_SECONDS):
                strike()

        user = threading.Thread(target=press)
        if impatient:
            user.start()
        trials = new_trials(1)
        with pytest.raises(raised):
            fmin(objective, CASE, in_order, 3, trials=trials, verbose=False)
        if impatient:
            user.join()
        for thread in threading.enumerate():
            if thread.name.startswith("sparkopt"):
                thread.join(DEADLINE_SECONDS)
        return trials

    return run


def assert_next_works(new_trials):
    trials = new_trials(2)
    fmin(float, CASE, in_order, 3, trials=trials, verbose=False)
    assert sorted(trials.losses()) == [0, 1, 2]


@pytest.mark.parametrize("obstinate", [False, True], ids=["that leave", "that cannot leave"])
def test_while_the_workers_are_sent_away(search, strike_in, raised, new_trials, obstinate):
    strike_in(Gang, "wait")
    trials = search(raised, obstinate=obstinate)
    assert {document["state"] for document in trials._dynamic_trials} == {JOB_STATE_CANCEL}
    assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
    assert_next_works(new_trials)


def test_again_while_their_jobs_are_cancelled(search, strike_in, new_trials):
    strike_in(Gang, "wait")
    strike_in(Gang, "cancel")
    search(KeyboardInterrupt, obstinate=True)
    assert_next_works(new_trials)


def test_while_documents_get_their_final_states(search, strike_in, new_trials):
    strike_in(Documents, "cancel")
    trials = search(KeyboardInterrupt)
    assert {document["state"] for document in trials._dynamic_trials} == {JOB_STATE_CANCEL}
    assert_next_works(new_trials)


@pytest.mark.parametrize(
    ("kind", "name"), [(Coordinator, "start"), (Gang, "launch"), (Coordinator, "open_study")]
)
def test_while_the_pool_starts(search, strike_in, raised, new_trials, kind, name):
    strike_in(kind, name)
    search(raised, impatient=False)
    assert_next_works(new_trials)


def test_while_the_objective_is_pickled(new_trials):
    class Striking:
        def __reduce__(self):
            strike()
            return float, ()

    thing = Striking()
    trials = new_trials(1)
    with pytest.raises(KeyboardInterrupt):
        fmin(lambda case: (thing, case)[1], CASE, in_order, 3, trials=trials, verbose=False)
    assert trials._dynamic_trials == []
    assert_next_works(new_trials)
