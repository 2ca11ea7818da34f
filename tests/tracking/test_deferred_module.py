"""MLflow's module that is loaded late, with another package in its place."""

from __future__ import annotations

import importlib
import sys
import threading
from types import ModuleType

import pytest

from sparkopt.tracking.trial import mlflow_import
from sparkopt.tracking.trial.mlflow_import import load_early, load_late, when_loaded

SECONDS = 30.0

LOG = "import builtins\nbuiltins.loads_of_late.append(__name__)\n"


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A package that is loaded late, but for the call ``offered``; yields the list of its modules' loads."""
    top = tmp_path / "late_package"
    top.mkdir()
    (top / "__init__.py").write_text(
        f"{LOG}from late_package import eager\nfrom late_package.eager import value\n__all__ = ['value']\n"
    )
    (top / "eager.py").write_text(f"{LOG}value = 3\n")
    (top / "seldom.py").write_text(f"{LOG}from late_package import value\n")
    loads = []
    monkeypatch.setattr("builtins.loads_of_late", loads, raising=False)
    monkeypatch.setattr(mlflow_import, "_MLFLOW", "late_package")
    monkeypatch.setattr(mlflow_import, "_waiting", [])
    monkeypatch.setattr(mlflow_import, "_offer", None)
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    load_late({"offered": "as offered"}.get)
    when_loaded(lambda: loads.append("told"))
    yield loads
    for name in [name for name in sys.modules if name.partition(".")[0] == "late_package"]:
        del sys.modules[name]


WHOLE = ["late_package", "late_package.eager", "told"]


def test_what_is_offered_is_there_without_it(package):
    import late_package
    from late_package import offered

    assert (late_package.offered, offered) == ("as offered", "as offered")
    assert isinstance(late_package, ModuleType)
    assert importlib.util.find_spec("late_package").name == "late_package"
    assert package == []


@pytest.mark.parametrize(
    "use",
    [
        "late_package.value",
        "late_package.eager",
        "dir(late_package)",
        "setattr(late_package, 'other', 1)",
        "hasattr(late_package, 'nothing')",
        "__import__('late_package', fromlist=['value']).value",
        "importlib.import_module('late_package.eager')",
        "__import__('late_package.eager')",
    ],
)
def test_it_is_loaded_once_when_more_is_needed(package, use):
    import late_package

    eval(use)
    eval(use)
    assert package == WHOLE
    assert (late_package.value, type(late_package)) == (3, ModuleType)
    assert not hasattr(late_package, "offered")
    assert sys.modules["late_package"] is late_package
    eager = sys.modules["late_package.eager"]
    assert (late_package.eager, eager.__spec__.origin) == (eager, eager.__file__)


def test_a_module_of_it_is_loaded_after_it(package):
    import late_package.seldom

    assert package == [*WHOLE, "late_package.seldom"]
    assert late_package.seldom.value == 3


def test_a_module_of_it_that_is_not_there(package):
    with pytest.raises(ModuleNotFoundError, match=r"late_package\.nowhere"):
        import late_package.nowhere  # noqa: F401
    with pytest.raises(ImportError, match="cannot import name 'nothing'"):
        from late_package import nothing  # noqa: F401
    assert package == WHOLE


def test_what_is_set_stays(package):
    import late_package

    late_package.value = 4
    assert (late_package.value, package) == (4, WHOLE)
    del late_package.value
    assert not hasattr(late_package, "value")


def test_one_that_cannot_be_loaded_is_tried_again(package, tmp_path):
    import late_package

    eager = tmp_path / "late_package" / "eager.py"
    eager.write_text(f"{LOG}raise ImportError('half of it is missing')\n")
    for _ in range(2):
        with pytest.raises(ImportError, match="half of it"):
            late_package.value  # noqa: B018
    assert (late_package.offered, package) == ("as offered", WHOLE[:2] * 2)


def test_all_threads_find_it_whole(package):
    import late_package

    together, found = threading.Barrier(8), []

    def look():
        together.wait(SECONDS)
        found.append(late_package.value)

    threads = [threading.Thread(target=look) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join(SECONDS)
    assert (found, package) == ([3] * 8, WHOLE)


def test_who_comes_later_is_told_when_it_is_loaded(package):
    import late_package

    when_loaded(lambda: package.append("told too"))
    assert package == []
    assert late_package.value == 3
    assert package == [*WHOLE, "told too"]
    when_loaded(lambda: package.append("told at once"))
    assert package[-1] == "told at once"


def test_one_that_is_needed_early_is_loaded_by_its_import(package):
    load_early()
    import late_package

    assert (package, type(late_package)) == (WHOLE, ModuleType)


def test_one_that_is_needed_after_all_is_loaded_then(package):
    import late_package

    load_early()
    assert (package, late_package.value) == (WHOLE, 3)
