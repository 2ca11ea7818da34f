"""The examples of docs/pruning-examples.md run, each where the library that it trains with is installed."""

from __future__ import annotations

import re
import shutil

import pytest
from pyspark.sql import SparkSession

from tests.docs.test_examples import PRUNING, examples
from tests.support.mlflow_parts import needs_databases

LIBRARY = re.compile(r"^    (?:import|from) (lightgbm|sklearn|xgboost)\b", re.MULTILINE)
STEPS = {"numpy": 27, "lightgbm": 81, "xgboost": 81, "sklearn": 27}


def library_of(code):
    """The library that an example trains with. Others take data from scikit-learn; the first has NumPy."""
    return next((each for each in STEPS if each in LIBRARY.findall(code)), "numpy")


def test_the_libraries_have_examples():
    assert {library_of(code) for _, code in examples(PRUNING)} == set(STEPS)


@pytest.mark.slow  # a search or two each, with MLflow's autologging
@needs_databases
@pytest.mark.filterwarnings("ignore::sparkopt.errors.SparkoptWarning")
@pytest.mark.parametrize("library", STEPS)
def test_examples_of_pruning_report_each_step(spark, empty_store, tmp_path, monkeypatch, library):
    pytest.importorskip(library, exc_type=ImportError)
    assert SparkSession.getActiveSession() is spark
    monkeypatch.chdir(tmp_path)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    namespace = {"__name__": "__main__"}
    for line, code in examples(PRUNING):
        if library_of(code) not in ("numpy", library):
            continue
        exec(compile("\n" * line + code, str(PRUNING), "exec"), namespace)
        trials = namespace["trials"]
        assert trials.count_failed_trials() == 0
        assert trials.count_successful_trials() + trials.count_pruned_trials() == 12
        for result in trials.results:
            reports = result["intermediate"]
            if result["status"] == "ok":
                assert len(reports) == STEPS[library_of(code)]
            else:
                assert 0 < len(reports) <= STEPS[library_of(code)]
