"""Searches where there is no MLflow, which in other environments is made to look like that."""

from __future__ import annotations

import sys

import pytest

import sparkopt
import sparkopt.tracking
from sparkopt import SparkTrials, fmin
from sparkopt.errors import TrackingError, TrackingWarning
from sparkopt.tracking.installed import SETTING
from tests.support.study_tools import CASE, in_order


@pytest.fixture(autouse=True)
def no_mlflow(monkeypatch):
    """Whatever asks for MLflow finds none."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.setitem(sys.modules, name, None)
    monkeypatch.setitem(sys.modules, "mlflow", None)


@pytest.fixture
def said(monkeypatch):
    """Have the Spark setting that is about tracking say something."""

    def say(value):
        monkeypatch.setattr("sparkopt.hyperopt.search.setting", lambda session, name: value)

    return say


def search(spark, **options):
    trials = SparkTrials(1, spark_session=spark, **options)
    fmin(lambda case: case, CASE, in_order, 2, trials=trials, verbose=False)
    return trials.losses()


def test_a_search_that_nobody_asked_to_track_warns_once_and_goes_on(spark, said):
    said("")
    with pytest.warns(
        TrackingWarning, match="not tracked: .* has no MLflow. Install MLflow .*mlflow-skinny"
    ) as caught:
        assert search(spark) == [0, 1]
    (untracked,) = (each for each in caught if issubclass(each.category, TrackingWarning))
    assert untracked.filename == __file__


def test_a_search_that_is_not_to_be_tracked_says_nothing(spark, said):
    said("false")
    assert search(spark) == [0, 1]
    said("true")
    assert search(spark, tracking=False) == [0, 1]


def test_a_search_that_is_to_be_tracked_is_refused(spark, said):
    with pytest.raises(
        TrackingError, match=r"tracking=True asks for tracking, and .* has no MLflow. Install MLflow"
    ):
        search(spark, tracking=True)
    said("true")
    with pytest.raises(TrackingError, match=f"{SETTING}=true asks for tracking"):
        search(spark)


def test_an_mlflow_that_cannot_be_imported_is_named(spark, monkeypatch):
    # Importing it again puts the new module there, which is not to stay.
    monkeypatch.setattr(sparkopt, "tracking", sparkopt.tracking, raising=False)
    for name in [name for name in sys.modules if name.startswith("sparkopt.tracking")]:
        monkeypatch.delitem(sys.modules, name)
    for name in [name for name in sys.modules if name.partition(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", type(sys)("mlflow"))  # far too old
    with pytest.raises(TrackingError, match=r"MLflow .* cannot be used for tracking .*MLflow 2.9 and later"):
        search(spark, tracking=True)
