"""The journal: what a search that went on from it knows, what it does not run again, and what it refuses."""

from __future__ import annotations

import json
import os
import pickle
import resource
import signal
import subprocess
import sys
from collections import Counter
from functools import partial

import hyperopt
import numpy as np
import psutil
import pytest
from hyperopt import anneal, hp, rand, tpe
from hyperopt.base import JOB_STATE_DONE, JOB_STATE_ERROR

from sparkopt import fmin
from sparkopt.errors import JournalError, JournalWarning, RefusedError, SparkoptWarning
from sparkopt.study.journal import Journal
from tests.support.paths import python_path
from tests.support.processes import started
from tests.support.study_tools import CASE, in_order, jobs, make_fifos, wait_at

SPACE = hp.choice(
    "model", [{"a": hp.uniform("a", 0, 1)}, {"b": hp.normal("b", 0, 1), "c": hp.randint("c", 9)}]
)


@pytest.fixture
def file(tmp_path):
    return tmp_path / "journal"


def loss(point):
    return point.get("a", 0.0) + abs(point.get("b", 0.0)) + point.get("c", 0)


@pytest.fixture
def search(journalled_search, file):
    """Search with a journal in a file."""
    return journalled_search(file)


def without_times(trials):
    keys = ("tid", "state", "result", "misc", "owner", "exp_key", "version", "spec")
    return [{key: document[key] for key in keys} for document in trials._dynamic_trials]


class TestGoingOn:
    def test_what_had_ended_is_there_again_and_does_not_run_again(self, search):
        before = search(6)
        after = search(8)
        assert after is not before
        assert without_times(after)[:6] == without_times(before)
        assert after.losses() == [0, 1, 2, 4, 5, 6, 7]
        assert search.runs() == dict.fromkeys(range(8), 1)
        assert after.trial_attachments(after.trials[5])["square"] == 36
        assert after._dynamic_trials[3]["state"] == JOB_STATE_ERROR
        assert "case 3" in after._dynamic_trials[3]["misc"]["error"][1]

    def test_nothing_is_left_to_do(self, search, spark):
        before = search(4)
        after = search(4)
        assert without_times(after) == without_times(before)
        assert [each["book_time"] for each in after.trials] == [each["book_time"] for each in before.trials]
        assert after.argmin == {"case": 0}

    def test_the_same_trials_go_on_too(self, search):
        trials = search(3)
        assert search(5, trials) is trials
        assert trials.losses() == [0, 1, 2, 4]
        assert search.runs() == dict.fromkeys(range(5), 1)

    @pytest.mark.parametrize("algo", [rand.suggest, tpe.suggest, anneal.suggest])
    def test_the_search_is_the_one_that_was_never_interrupted(self, new_trials, file, algo):
        def run(evals, **journal):
            trials = new_trials(parallelism=1, **journal)
            fmin(
                lambda point: point.get("a", 0.0) + abs(point.get("b", 0.0)) + point.get("c", 0),
                SPACE,
                algo,
                evals,
                trials=trials,
                rstate=np.random.default_rng(5),
                verbose=False,
            )
            return trials

        whole = run(40)
        for evals in (3, 25, 40):
            parts = run(evals, journal=file)
        assert without_times(parts) == without_times(whole)

    def test_points_are_taken_once(self, search):
        search(2, points_to_evaluate=[{"case": 900}])
        after = search(3, points_to_evaluate=[{"case": 900}])
        assert after.losses() == [900, 1, 2]
        assert after.count_failed_trials() == 1

    def test_early_stop_hears_again_of_what_it_had_heard(self, search):
        def early_stop(trials, seen=()):
            seen = (*seen, trials.trials[-1]["tid"])
            return len(seen) == 5, [seen]

        heard = []

        def listening(trials, *args):
            stop, carried = early_stop(trials, *args)
            heard.append(carried[0])
            return stop, carried

        search(2, early_stop_fn=listening)
        after = search(50, early_stop_fn=listening)
        assert heard[2:] == [(0,), (0, 1), (0, 1, 2), (0, 1, 2, 4), (0, 1, 2, 4, 5)]
        assert after.fmin_cancelled_reason == "early stopping condition"

    def test_a_search_that_was_stopped_stays_so_and_launches_nothing(self, search, spark):
        def early_stop(trials, count=1):
            return count == 3, [count + 1]

        search(50, early_stop_fn=early_stop)
        before = jobs(spark)
        after = search(50, early_stop_fn=early_stop)
        assert jobs(spark) == before
        assert after.losses() == [0, 1, 2]
        assert after.fmin_cancelled_reason == "early stopping condition"

    def test_what_was_cancelled_with_its_search_runs_again(self, search):
        def interrupt(trials):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            search(5, early_stop_fn=interrupt, max_queue_len=3)
        after = search(5)
        assert after.losses() == [0, 1, 2, 4]
        assert search.runs()[0] == 1

    def test_large_results_and_reports_are_kept_beside_it(self, new_trials, file):
        size = 3_000_000

        def run(evals):
            @hyperopt.fmin_pass_expr_memo_ctrl
            def objective(expr, memo, ctrl):
                tid = ctrl.current_trial["tid"]
                ctrl.attachments["large"] = bytes(size) + b"%d" % tid
                ctrl.attachments["small"] = tid
                return {"status": "ok", "loss": float(tid), "large": bytes(size)}

            trials = new_trials(parallelism=1, journal=file)
            fmin(objective, CASE, in_order, evals, trials=trials, verbose=False)
            return trials

        before = run(2)
        for _ in range(2):  # reading it takes nothing away
            after = run(2)
            assert without_times(after) == without_times(before)
            assert after.attachments == before.attachments
        next(file.with_name("journal-files").glob("result-1")).unlink()
        with pytest.warns(
            JournalWarning, match=r"results of trials \[1\] are gone from .*these trials run again"
        ):
            after = run(2)
        assert without_times(after) == without_times(before)


DRIVER = """
import sys
from hyperopt import hp
from sparkopt import SparkTrials, fmin
from sparkopt.spark.session import get_session
from tests.support.study_tools import CASE, in_order

place, journal = sys.argv[1:3]

def objective(case):
    import os
    case = int(case)
    os.close(os.open(f"{place}/ran-{case}-{os.urandom(4).hex()}", os.O_CREAT))
    if case == 7 and os.path.exists(f"{place}/there"):
        os.close(os.open(f"{place}/there", os.O_WRONLY))
        os.read(os.open(f"{place}/never", os.O_RDONLY), 1)
    os.close(os.open(f"{place}/finished-{case}-{os.urandom(4).hex()}", os.O_CREAT))
    return float(case)

session = get_session(settings={"spark.master": "local[2]", "spark.ui.enabled": "false"})
trials = SparkTrials(2, spark_session=session, journal=journal)
fmin(objective, CASE, in_order, 20, trials=trials, verbose=False)
print(len(trials), trials.losses() == [float(n) for n in range(20)])
session.stop()
"""


def test_a_driver_that_is_killed(tmp_path, file):
    make_fifos(tmp_path, "there", "never")
    script = tmp_path / "driver.py"
    script.write_text(DRIVER)
    command = [sys.executable, str(script), str(tmp_path), str(file)]
    environment = {**os.environ, "PYTHONPATH": python_path(), "SPARK_LOCAL_IP": "127.0.0.1"}
    with started(command, env=environment, start_new_session=True) as driver:
        wait_at(tmp_path / "there")
        (tmp_path / "there").unlink()
        os.kill(driver.pid, signal.SIGKILL)
    journal = Journal(file)
    settled = {entry.tid for entry in journal.take_entries() if entry.outcome is not None}
    journal.close()
    assert settled

    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=120)
    assert done.stdout.split() == ["20", "True"], done.stderr
    ran = Counter(int(path.name.split("-")[1]) for path in tmp_path.glob("ran-*"))
    assert set(ran) == set(range(20))
    assert all(ran[tid] == 1 for tid in settled)
    assert max(ran.values()) <= 2


class TestPoints:
    def test_those_that_it_does_not_hold_are_evaluated(self, search):
        search(2, points_to_evaluate=[{"case": 50}])
        points = [{"case": 50}, {"case": 60}, {"case": 60}]
        assert search(2, points_to_evaluate=points).vals["case"] == [50, 1, 2, 60, 60]
        assert search(3, points_to_evaluate=points).vals["case"] == [50, 1, 2, 60, 60, 5]
        assert search.runs() == {50: 1, 1: 1, 2: 1, 60: 2, 5: 1}

    def test_those_that_it_was_begun_without(self, search):
        search(2)
        assert search(2, points_to_evaluate=[{"case": 50}]).vals["case"] == [0, 1, 50]


class TestRefusal:
    def test_trials_of_another_search_with_its_numbers(self, search, new_trials, file):
        search(3)
        others = search(0, new_trials(parallelism=1), points_to_evaluate=[{"case": 70}])
        others.journal = file
        with pytest.raises(RefusedError, match="hold 1 trials that the journal does not know"):
            search(4, others)
        assert search(3).vals["case"] == [0, 1, 2]

    def refused(self, new_trials, file, match, fn=loss, space=SPACE, algo=rand.suggest, **more):
        trials = new_trials(parallelism=1, journal=file)
        with pytest.raises(RefusedError, match=match) as caught:
            fmin(fn, space, algo, 3, trials=trials, verbose=False, **more)
        assert trials._dynamic_trials == []
        return str(caught.value)

    @pytest.fixture
    def journaled(self, new_trials, file):
        trials = new_trials(parallelism=1, journal=file)
        fmin(loss, SPACE, rand.suggest, 1, trials=trials, verbose=False, return_argmin=False)

    def test_another_space(self, journaled, new_trials, file):
        said = self.refused(new_trials, file, "of a search with another space", space=hp.uniform("a", 0, 2))
        assert "---" in said
        assert "+" in said

    def test_another_objective(self, journaled, new_trials, file):
        def other(point):
            return 0.0

        said = self.refused(new_trials, file, "of a search with another objective", fn=other)
        assert "test_journal.loss" in said
        assert "other" in said

    @pytest.mark.parametrize("algo", [tpe.suggest, partial(rand.suggest)])
    def test_another_algorithm(self, journaled, new_trials, file, algo):
        said = self.refused(new_trials, file, "of a search with another algorithm", algo=algo)
        assert "hyperopt.rand.suggest" in said

    def test_a_file_that_is_something_else(self, new_trials, file):
        file.write_text("my notes")
        self.refused(new_trials, file, f"{file} is not a journal")
        assert file.read_text() == "my notes"

    def test_no_directory(self, new_trials, tmp_path):
        self.refused(new_trials, tmp_path / "no" / "journal", "there is no directory .*no")

    def test_one_that_another_search_writes(self, journaled, new_trials, file):
        other = Journal(file)
        try:
            self.refused(new_trials, file, "in use by another search")
        finally:
            other.close()

    def test_trials_that_it_does_not_know(self, new_trials, file):
        trials = new_trials(parallelism=1)
        fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)
        trials.journal = file
        with pytest.raises(RefusedError, match="these trials hold 2 trials that the journal does not know"):
            fmin(lambda case: case, CASE, in_order, 3, trials=trials, verbose=False)


class TestDamage:
    @pytest.fixture
    def journaled(self, search, file):
        search(60)
        assert not file.with_name("journal-wal").exists()
        return search

    def check(self, search, file):
        with pytest.warns(
            JournalWarning, match=r"was damaged .*trials could be recovered.*is kept as"
        ) as caught:
            after = search(60)
        text = str(caught[0].message)
        recovered = int(text.split(" trials could")[0].split()[-1])
        assert after.count_total_trials() == 60
        assert max(search.runs().values()) <= 2
        assert sum(search.runs().values()) < 2 * len(search.runs())
        assert file.with_name("journal.damaged-1").exists()
        search(60)  # it is whole again
        return recovered

    def test_a_truncated_one(self, journaled, file):
        with file.open("r+b") as stream:
            stream.truncate(file.stat().st_size * 2 // 3 // 4096 * 4096)
        assert 0 < self.check(journaled, file) < 75

    def test_one_with_a_hole(self, journaled, file):
        size = file.stat().st_size
        with file.open("r+b") as stream:
            stream.seek(size // 2 // 4096 * 4096)
            stream.write(os.urandom(4096))
        assert 0 < self.check(journaled, file) <= 75

    def test_one_beyond_repair(self, new_trials, file, search):
        search(2)
        content = file.read_bytes()
        file.write_bytes(content[:100] + os.urandom(len(content) - 100))
        with pytest.raises(JournalError, match=r"journal .* is damaged, .* move it away"):
            search(3)
        assert not file.with_name("journal.damaged-1").exists()


def test_a_search_that_is_refused_at_the_last_moment_lets_go_of_it(new_trials, file):
    trials = new_trials(timeout=60, journal=file)
    with pytest.raises(SparkoptWarning, match="fmin's timeout of 30 s is ignored"):
        fmin(lambda x: x, hp.uniform("x", 0, 1), rand.suggest, 1, trials=trials, timeout=30, verbose=False)
    assert [each.path for each in psutil.Process().open_files() if each.path.startswith(str(file))] == []


def test_a_full_disk_is_an_error_that_names_it(search, new_trials, file):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(trials):
        if len(trials.trials) == 3:
            resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        return False, []

    trials = new_trials(parallelism=1, journal=file)
    try:
        with pytest.raises(JournalError, match=rf"the journal {file} cannot be .* make room"):
            search(50, trials, early_stop_fn=fill)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert trials.losses() == [0, 1, 2]
    assert {document["state"] for document in trials.trials} == {JOB_STATE_DONE}
    assert search(6).losses() == [0, 1, 2, 4, 5]
    assert all(search.runs()[case] == 1 for case in (0, 1, 2))


def test_the_rows_are_readable_by_others(search, file):
    import sqlite3

    search(2)
    with sqlite3.connect(file) as database:
        rows = database.execute("select tid, outcome, reason from trials order by tid").fetchall()
        meta = dict(database.execute("select key, value from meta"))
        (rstate,) = database.execute("select rstate from trials order by tid desc limit 1").fetchone()
    database.close()
    assert rows == [(0, "ok", ""), (1, "ok", "")]
    assert meta["algorithm"] == "tests.support.study_tools.in_order"
    assert json.dumps(meta["space"])
    assert pickle.loads(rstate)["bit_generator"] == "PCG64"
