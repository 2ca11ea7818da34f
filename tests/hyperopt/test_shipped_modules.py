"""Objectives that live in modules of the user's, which workers have not."""

from __future__ import annotations

import importlib
import sys
import warnings

import pytest
from hyperopt import hp, rand

from sparkopt import SparkTrials, WorkerPool, fmin
from sparkopt.errors import ArgumentValueError, FailedTrialsWarning, MissingModuleError
from tests.support.projects import write_project
from tests.support.study_tools import CASE, in_order

PACKAGE = {
    "mo_models/__init__.py": "",
    "mo_models/table.csv": "7",
    "mo_models/results.py": "class Score(float):\n    pass\n",
    "mo_models/train.py": """
import importlib.resources
from pathlib import Path

from .results import Score

def objective(case):
    from mo_space.late import shift
    from .lazily import twice
    read = importlib.resources.files("mo_models").joinpath("table.csv").read_text()
    assert read == Path(__file__).with_name("table.csv").read_text()
    return {"status": "ok", "loss": twice(case) + shift() + int(read), "score": Score(case)}

def fails(case):
    Path(fails.__code__.co_filename).unlink()  # a worker elsewhere has no such file
    raise ValueError(f"case {case}")

def named(model):
    return float(type(model).__name__ == "Linear")
""",
    "mo_models/lazily.py": "def twice(x):\n    return 2 * x\n",
    "mo_models/kinds.py": "class Linear:\n    pass\n\nclass Tree:\n    pass\n",
    "mo_space/late.py": "def shift():\n    return 100\n",
}


@pytest.fixture
def project(spark, tmp_path, monkeypatch):
    """A directory that this process alone looks for modules in; called with files' texts by their paths."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def forget():
        for name in [*sys.modules]:
            if name.startswith("mo_"):
                del sys.modules[name]

    def write(files):
        forget()
        return write_project(tmp_path, files)

    yield write
    forget()


def search(objective, trials, evals=3, space=CASE, algo=in_order):
    return fmin(objective, space, algo, evals, trials=trials, verbose=False)


def test_a_package_beside_the_script_runs_with_its_lazy_imports_and_data(project, new_trials):
    project(PACKAGE)
    train = importlib.import_module("mo_models.train")
    trials = new_trials()
    search(train.objective, trials)
    assert sorted(trials.losses()) == [107, 109, 111]
    # Imported by name, so that what comes home is of the driver's own class.
    assert {type(result["score"]) for result in trials.results} == {train.Score}


def test_what_a_function_of_the_notebooks_imports_goes_along(project, new_trials):
    project(PACKAGE)

    def objective(case):
        from mo_models.lazily import twice

        return twice(case)

    trials = new_trials()
    search(objective, trials)
    assert sorted(trials.losses()) == [0, 2, 4]


def test_classes_that_the_space_names_go_along(project, new_trials):
    project(PACKAGE)
    kinds = importlib.import_module("mo_models.kinds")
    trials = new_trials()
    space = hp.choice("model", [kinds.Linear(), kinds.Tree()])
    search(lambda model: float(type(model).__name__ == "Linear"), trials, 8, space, rand.suggest)
    assert set(trials.losses()) <= {0.0, 1.0}
    assert trials.count_successful_trials() == 8


def test_a_traceback_shows_the_drivers_file_and_its_line(project, new_trials):
    place = project(PACKAGE)
    train = importlib.import_module("mo_models.train")
    trials = new_trials(parallelism=1)
    with pytest.raises(Exception, match="case 0"):
        search(train.fails, trials, 1)
    (document,) = trials._dynamic_trials
    told = document["misc"]["error"][1]
    assert f'File "{place / "mo_models" / "train.py"}", line 16, in fails\n    raise ValueError' in told


@pytest.mark.parametrize("edited", ["mo_models/lazily.py", "mo_space/late.py"])
def test_an_edit_arrives_with_the_next_search_on_the_same_workers(project, spark, edited):
    project(PACKAGE)
    edits = {
        "mo_models/lazily.py": "def twice(x):\n    return -2 * x\n",
        "mo_space/late.py": "def shift():\n    return 200\n",
    }
    losses = {"mo_models/lazily.py": [103, 105, 107], "mo_space/late.py": [207, 209, 211]}
    found = []
    with WorkerPool(2, spark_session=spark) as pool:
        for files in ({}, {edited: edits[edited]}, {edited: PACKAGE[edited]}):
            project(files)
            trials = SparkTrials(pool=pool)
            search(importlib.import_module("mo_models.train").objective, trials)
            found.append(sorted(trials.losses()))
    assert found == [[107, 109, 111], losses[edited], [107, 109, 111]]


def test_the_same_modules_cost_no_evaluator(project, spark):
    project({"mo_pids.py": "import os\n\ndef objective(case):\n    return float(os.getpid())\n"})
    pids = []
    with WorkerPool(1, spark_session=spark) as pool:
        for _ in range(2):
            trials = SparkTrials(pool=pool)
            search(importlib.import_module("mo_pids").objective, trials)
            pids += trials.losses()
    assert len({*pids}) == 1


def told_by(objective, trials, evals=10):
    """The error that a search ends with, and the warnings of failed trials."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(MissingModuleError) as raised:
            search(objective, trials, evals)
    return raised.value, [each for each in caught if issubclass(each.category, FailedTrialsWarning)]


def test_a_search_stops_with_the_first_trial_that_cannot_be_loaded(project, new_trials):
    project(PACKAGE)
    trials = new_trials(parallelism=1, ship_modules=False)
    error, told = told_by(importlib.import_module("mo_models.train").objective, trials)
    for part in (
        "No module named 'mo_models'",
        sys.executable,
        "ship_modules=['mo_models']",
        "sparkopt pack",
    ):
        assert part in str(error)
    assert "Traceback" in error.__cause__.text
    assert trials.count_failed_trials() == 1
    assert told == []


def test_a_search_stops_with_the_first_late_import_of_what_the_driver_has(project, new_trials):
    project(PACKAGE)

    def objective(case):
        import mo_models.lazily

        return mo_models.lazily.twice(case)

    trials = new_trials(parallelism=1, ship_modules=False)
    error, _ = told_by(objective, trials)
    assert str(error).startswith("this worker lacks a module: mo_models.")
    assert trials.count_failed_trials() == 1


def test_a_trial_that_imports_what_others_do_without_fails_alone(project, new_trials):
    project(PACKAGE)

    def objective(case):
        if case == 1:
            import mo_models.lazily

            return mo_models.lazily.twice(case)
        return case

    trials = new_trials(parallelism=1, ship_modules=False)
    search(objective, trials, 3)
    assert trials.losses() == [0, 2]


def test_a_module_that_the_driver_lacks_too_fails_its_trial_alone(new_trials):
    def objective(case):
        if case == 0:
            import no_such_module

            return no_such_module.loss
        return case

    trials = new_trials(parallelism=1)
    search(objective, trials, 2)
    assert trials.losses() == [1]


def test_compiled_code_is_refused_by_name(project, new_trials):
    place = project({**PACKAGE, "mo_models/fast.so": ""})
    train = importlib.import_module("mo_models.train")
    trials = new_trials(parallelism=1)
    error, _ = told_by(train.objective, trials)
    assert f"mo_models was not sent: it holds compiled code ({place / 'mo_models' / 'fast.so'})" in str(error)
    with pytest.raises(ArgumentValueError, match="mo_models"):
        search(train.objective, new_trials(ship_modules=["mo_models"]))


def test_a_list_names_modules_that_nobody_could_find(project, new_trials):
    project({"mo_plugin.py": "value = 5\n"})

    def objective(case):
        import importlib

        return importlib.import_module("_".join(["mo", "plugin"])).value

    trials = new_trials(parallelism=1, ship_modules=["mo_plugin"])
    search(objective, trials, 1)
    assert trials.losses() == [5]
