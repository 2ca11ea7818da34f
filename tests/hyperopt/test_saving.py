"""trials_save_file: there at any time, loaded again, never half, never half the search's time."""

from __future__ import annotations

import pickle
import resource
import shutil
import threading
import warnings
from pathlib import Path
from types import SimpleNamespace

import hyperopt
import pytest
from hyperopt import rand

from sparkopt import SparkTrials, fmin
from sparkopt.errors import ParallelismWarning, RefusedError, SaveFileError, SaveFileWarning
from sparkopt.hyperopt import savefile
from tests.support.study_tools import CASE, in_order


@pytest.fixture
def file(tmp_path):
    return tmp_path / "trials.pickle"


@pytest.fixture
def active(spark):
    """A search without trials of its own runs on the active session."""
    from pyspark.sql import SparkSession

    assert SparkSession.getActiveSession() is spark


def search(file, evals, trials=None, **more):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ParallelismWarning)  # the session's default parallelism is taken
        return fmin(
            lambda case: case,
            CASE,
            in_order,
            evals,
            trials=trials,
            trials_save_file=str(file),
            verbose=False,
            **more,
        )


def load(file):
    return pickle.loads(file.read_bytes())


def test_the_file_holds_the_trials_at_the_end(new_trials, file):
    trials = new_trials()
    search(file, 5, trials)
    saved = load(file)
    assert isinstance(saved, SparkTrials)
    assert saved._dynamic_trials == trials._dynamic_trials
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_a_search_without_trials_goes_on_from_it(active, file):
    assert search(file, 3) == {"case": 0}
    search(file, 5, points_to_evaluate=[{"case": 400}])  # the points were for the first search
    assert load(file).losses() == [0, 1, 2, 3, 4]
    search(file, 5)
    assert len(load(file)) == 5


def test_trials_that_are_given_go_before_the_file(new_trials, file):
    search(file, 3, new_trials())
    search(file, 2, new_trials())
    assert len(load(file)) == 2


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # hyperopt leaves files open
def test_a_file_of_hyperopts_own(active, file):
    hyperopt.fmin(
        lambda case: {"status": "ok", "loss": float(case), "attachments": {"a": case}},
        CASE,
        rand.suggest,
        3,
        trials_save_file=str(file),
        verbose=False,
    )
    before = load(file)
    assert type(before) is hyperopt.Trials
    search(file, 5)
    after = load(file)
    assert type(after) is SparkTrials
    assert after.trials[:3] == before.trials
    assert after.losses()[3:] == [3, 4]
    assert after.attachments == before.attachments


def test_an_interrupted_search_has_what_had_finished(new_trials, file):
    def interrupt(trials, count=0):
        if count == 3:
            raise KeyboardInterrupt
        return False, [count + 1]

    trials = new_trials(parallelism=1)
    with pytest.raises(KeyboardInterrupt):
        search(file, 50, trials, early_stop_fn=interrupt)
    saved = load(file)
    assert saved._dynamic_trials == trials._dynamic_trials
    assert saved.fmin_cancelled_reason == "fmin run cancelled by user"
    search(file, 6, saved)
    assert load(file).count_successful_trials() == 6


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps({"a": 1})])
def test_what_is_no_trials_is_refused(active, file, content):
    file.write_bytes(content)
    with pytest.raises(RefusedError, match=rf"{file} (cannot be loaded|holds a dict)"):
        search(file, 3)
    assert file.read_bytes() == content


class TestSaveFile:
    """The file by itself, on a clock of the test's."""

    @pytest.fixture
    def clock(self, monkeypatch):
        own = SimpleNamespace(now=100.0)
        own.monotonic = lambda: own.now
        monkeypatch.setattr(savefile, "time", own)
        return own

    class Slow:
        """Takes four seconds to pickle; what comes out is how often that was done."""

        def __init__(self, clock):
            self.clock = clock
            self.count = 0

        def __reduce__(self):
            self.clock.now += 4
            self.count += 1
            return int, (self.count,)

    def test_saving_takes_a_tenth_of_the_time_however_often_it_is_due(self, file, clock):
        saving = savefile.SaveFile(file, self.Slow(clock))
        saving.save_if_due()
        assert (load(file), clock.now) == (1, 104)
        clock.now += 39.9
        saving.save_if_due()
        assert load(file) == 1
        clock.now += 0.2
        saving.save_if_due()
        assert load(file) == 2
        saving.save()
        assert load(file) == 3

    def test_what_was_saved_survives_a_failure(self, file):
        held = {"a": 1}
        saving = savefile.SaveFile(file, held)
        saving.save()
        held["lock"] = threading.Lock()
        with pytest.warns(SaveFileWarning, match=rf"not be saved to {file} \(TypeError.* will try again"):
            saving.save_if_due()
        with pytest.raises(TypeError):
            saving.save()
        assert load(file) == {"a": 1}
        assert list(file.parent.iterdir()) == [file]

    def test_nothing_is_made_before_there_is_something_to_save(self, file):
        savefile.SaveFile(file, None)
        assert list(file.parent.iterdir()) == []

    def test_a_file_beside_the_working_directory(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        savefile.SaveFile("here", 3).save()
        assert load(Path("here")) == 3


def test_a_full_disk_at_the_end_leaves_the_results(new_trials, file):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill(trials):
        resource.setrlimit(resource.RLIMIT_FSIZE, (10, before[1]))
        return False, []

    trials = new_trials(parallelism=1)
    warnings.simplefilter("ignore", SaveFileWarning)  # if it is tried in mid-search as well
    try:
        with pytest.raises(OSError, match="File too large"):
            search(file, 3, trials, early_stop_fn=fill)
    finally:
        # Here and not in a fixture: what pytest prints may go to a file.
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert trials.losses() == [0, 1, 2]
    assert trials.fmin_cancelled_reason is None


class TestDamage:
    def test_one_that_is_damaged(self, tmp_path):
        path = tmp_path / "trials"
        trials = hyperopt.Trials()
        trials.attachments["large"] = b"n" * 1000
        savefile.SaveFile(path, trials).save()
        data = path.read_bytes()
        assert savefile.load(path).attachments == trials.attachments
        assert pickle.loads(data).attachments == trials.attachments  # as hyperopt loads it
        for at in range(0, len(data), 37):
            path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
            try:
                assert savefile.load(path).attachments == trials.attachments
            except RefusedError as error:
                said = str(error)
                assert said.startswith(f"trials_save_file {path} cannot be loaded")
        for size in range(0, len(data) - 40, 101):
            path.write_bytes(data[:size])
            with pytest.raises(RefusedError, match=f"trials_save_file {path} cannot be loaded"):
                savefile.load(path)

    def test_a_link_is_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "real" / "trials").touch()
        (tmp_path / "trials").symlink_to(tmp_path / "real" / "trials")
        savefile.SaveFile(tmp_path / "trials", 3).save()
        assert (tmp_path / "trials").is_symlink()
        assert pickle.loads((tmp_path / "real" / "trials").read_bytes()) == 3


def test_a_disk_that_does_not_take_them_at_the_end_is_an_error_that_names_it(new_trials, file):
    def remove(trials):
        if len(trials.trials) == 3:
            shutil.rmtree(file.parent)
        return False, []

    trials = new_trials(parallelism=1)
    with pytest.raises(SaveFileError, match=rf"could not be saved to {file}: No such file .* are whole"):
        search(file, 3, trials, early_stop_fn=remove)
    assert trials.losses() == [0, 1, 2]
