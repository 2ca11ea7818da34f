"""Code that a pickle runs on the driver: an exception in it fails its own trial at most."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import hyperopt
import pytest
from hyperopt import hp, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import fmin
from sparkopt.errors import SaveFileWarning, SparkoptWarning
from sparkopt.study import quarantine
from sparkopt.study.quarantine import ForeignError, Patience
from tests.support.study_tools import CASE, in_order, make_fifos, signal_at, wait_at

RAISED = {
    1: "SystemExit",
    2: "KeyboardInterrupt",
    3: "GeneratorExit",
    4: "RecursionError",
    5: "MemoryError",
    6: "StopIteration",
    7: "UserWarning",
    8: "BaseException",
    9: "Unspeakable",
}
"""Raised while the result of this case is unpickled."""

USED = {
    11: "a status whose comparison exits",
    12: "a name whose hash exits",
    13: "a loss whose conversion exits",
    14: "attachments whose items exit",
    15: "a dictionary whose keys exit",
    16: "a state whose setting exits",
    17: "an attachment whose name exits",
    18: "a metric whose conversion exits",
}
"""Raised while it is used."""

BAD = {
    21: "a loss of text beside fail",
    22: "a loss beyond any float",
    23: "a loss beyond any float beside fail",
}
LAST = 24


def make_objective(driver):
    def raise_on_driver(case):
        import warnings

        if os.getpid() != driver:
            return "x"

        class Unspeakable(BaseException):
            def __str__(self):
                raise SystemExit(8)

        if case == 7:
            with warnings.catch_warnings():
                warnings.simplefilter("error")
                warnings.warn("turned into an error", stacklevel=1)
        kinds = [SystemExit, KeyboardInterrupt, GeneratorExit, RecursionError, MemoryError, StopIteration]
        raise {8: BaseException, 9: Unspeakable}.get(case) or kinds[case - 1]

    class Trap:
        def __init__(self, case):
            self.case = case

        def __reduce__(self):
            return raise_on_driver, (self.case,)

    class Exits:
        def __setstate__(self, state):
            self.__dict__.update(state)
            if self.__dict__.get("at_once") and os.getpid() == driver:
                raise SystemExit(16)

        def leave(self, *_):
            if os.getpid() == driver:
                raise SystemExit(9)
            return 0

        __hash__ = __float__ = items = keys = leave

        def __eq__(self, other):
            return bool(self.leave())

        def __str__(self):
            return str(self.leave())

        shape = ()

    def objective(case):
        exits = Exits()
        exits.kept = True
        if case in RAISED:
            return {"status": "ok", "loss": 1.0, "x": Trap(case)}
        if case == 11:
            return {"status": exits, "loss": 1.0}
        if case == 12:
            return {"status": "ok", "loss": 1.0, exits: 2}
        if case == 13:
            return {"status": "ok", "loss": exits}
        if case == 14:
            return {"status": "ok", "loss": 1.0, "attachments": exits}
        if case == 15:
            return exits
        if case == 16:
            exits.at_once = True
            return {"status": "ok", "loss": 1.0, "x": [exits]}
        if case == 17:
            return {"status": "ok", "loss": 1.0, "attachments": {exits: 1}}
        if case == 18:
            return {"status": "ok", "loss": 1.0, "x": exits}
        if case == 21:
            return {"status": "fail", "loss": "large"}
        if case == 22:
            return 10**400
        if case == 23:
            return {"status": "fail", "loss": 10**400}
        return float(case)

    return objective


def left_thread():
    """The thread that unpickles what never ends."""
    (thread,) = [each for each in threading.enumerate() if each.name == "sparkopt-unpickling"]
    return thread


def check(trials):
    states = {document["tid"]: document["state"] for document in trials._dynamic_trials}
    bad = {*RAISED, *USED, *BAD}
    assert states == {case: JOB_STATE_ERROR if case in bad else JOB_STATE_DONE for case in range(LAST + 1)}
    kinds = {case: trials._dynamic_trials[case]["misc"]["error"][0] for case in bad}
    assert [case for case, name in RAISED.items() if name not in kinds[case]] == []
    assert [case for case in USED if "SystemExit" not in kinds[case]] == []


@pytest.mark.parametrize("where", ["the main thread", "another thread"])
def test_whatever_a_result_raises_is_its_trials_failure(new_trials, tmp_path, where):
    def search():
        trials = new_trials(journal=tmp_path / "journal")
        fmin(make_objective(os.getpid()), CASE, in_order, LAST + 1, trials=trials, verbose=False)
        return trials

    if where == "the main thread":
        check(search())
        check(search())  # from the journal: the same code takes what is there
    else:
        with ThreadPoolExecutor(1) as threads:
            check(threads.submit(search).result())


def test_tpe_goes_on_from_results_that_fail_with_odd_losses(new_trials):
    def objective(x):
        return [x, {"status": "fail", "loss": "0.5"}, {"status": "fail", "loss": "none"}][int(10 * x) % 3]

    trials = new_trials()
    fmin(objective, hp.uniform("x", 0, 1), tpe.suggest, 25, trials=trials, verbose=False)
    assert trials.count_total_trials() == 25
    assert {type(loss) for loss in trials.losses()} == {float}


@pytest.mark.parametrize("bad", ["exits", "is no dictionary", "has a loss of text"])
def test_a_report_that_cannot_be_taken_costs_itself(new_trials, tmp_path, bad):
    driver = os.getpid()

    def leave():
        if os.getpid() == driver:
            raise SystemExit(7)

    class Trap:
        def __reduce__(self):
            return leave, ()

    @hyperopt.fmin_pass_expr_memo_ctrl
    def objective(expr, memo, ctrl):
        checkpoints = {"exits": {"loss": Trap()}, "is no dictionary": 5, "has a loss of text": {"loss": "x"}}
        ctrl.checkpoint(checkpoints[bad])
        ctrl.attachments["kept"] = 1
        return 1.0

    for _ in range(2):  # the second is from the journal
        trials = new_trials(parallelism=1, journal=tmp_path / "journal")
        with pytest.warns(SparkoptWarning, match="trial 0 sent a checkpoint that cannot be taken"):
            fmin(objective, CASE, in_order, 1, trials=trials, verbose=False)
        assert trials.results == [{"loss": 1.0, "status": "ok"}]
        assert trials.trial_attachments(trials.trials[0])["kept"] == 1


def test_a_users_interrupt_ends_the_search_also_while_a_result_is_unpickled(new_trials, tmp_path):
    make_fifos(tmp_path, "never")
    driver, place = os.getpid(), str(tmp_path / "never")

    def interrupted():
        import signal

        if os.getpid() != driver:
            return
        # As by Ctrl-C: to the process, whose main thread takes it. This thread swallows what it can.
        os.kill(driver, signal.SIGINT)
        try:
            wait_at(place)
        except BaseException:
            wait_at(place)

    class Trap:
        def __reduce__(self):
            return interrupted, ()

    def objective(case):
        return {"status": "ok", "loss": 1.0, "x": Trap()} if case == 1 else float(case)

    trials = new_trials(parallelism=1)
    try:
        with pytest.raises(KeyboardInterrupt):
            fmin(objective, CASE, in_order, 100, trials=trials, verbose=False)
    finally:
        left = left_thread()
        signal_at(place)
        left.join()
    assert trials.fmin_cancelled_reason == "fmin run cancelled by user"
    assert trials.losses() == [0.0]


def test_trials_that_exit_when_they_are_saved_are_warned_of(new_trials, tmp_path):
    driver = os.getpid()

    class Exits:
        def __getstate__(self):
            if os.getpid() == driver:
                raise SystemExit(3)
            return {"x": 1}

    def objective(case):
        return {"status": "ok", "loss": float(case), "x": Exits()}

    trials = new_trials(parallelism=1)
    with (
        pytest.warns(SaveFileWarning, match="SystemExit: 3"),
        pytest.raises(ForeignError, match="SystemExit: 3"),
    ):
        fmin(objective, CASE, in_order, 2, trials=trials, trials_save_file=str(tmp_path / "f"), verbose=False)
    assert trials.losses() == [0.0, 1.0]


class EvilText(str):
    def __format__(self, spec):
        raise SystemExit(1)


class EvilType(type):
    def __repr__(cls):
        raise KeyboardInterrupt


class EvilError(BaseException, metaclass=EvilType):
    def __str__(self):
        return EvilText("evil")

    @property
    def __cause__(self):
        raise SystemExit(2)


def test_an_exception_has_no_say_in_how_it_is_told():
    def raise_it():
        raise EvilError

    with pytest.raises(ForeignError) as caught:
        quarantine.run(raise_it)
    assert str(caught.value) == "EvilError: evil"
    assert caught.value.kind == "<its type cannot be had: KeyboardInterrupt>"
    assert "SystemExit" in caught.value.traceback.text


def test_a_system_without_threads_costs_the_trial(monkeypatch):
    def refuse(thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ForeignError, match="RuntimeError: can't start new thread"):
        quarantine.run(lambda: 1)


def test_what_takes_too_long_is_left_to_itself():
    go_on = threading.Event()
    with pytest.raises(ForeignError, match=r"TrialTimeoutError: .* was not unpickled after 0 s") as caught:
        quarantine.run(go_on.wait, 0.01)
    assert "TrialTimeoutError" in caught.value.kind
    left = left_thread()
    go_on.set()
    left.join()


@pytest.mark.parametrize(
    ("timeout", "trial_timeout", "least", "most"),
    [(None, None, None, None), (None, 60.0, 60, 60), (30.0, 60.0, 20, 30), (0.0, 60.0, 10, 10)],
)
def test_patience(timeout, trial_timeout, least, most):
    deadline = None if timeout is None else time.monotonic() + timeout
    seconds = Patience(deadline, trial_timeout).seconds()
    assert seconds is None if least is None else least <= seconds <= most
