"""The watch for the import of MLflow, which sees another module in its place."""

from __future__ import annotations

import gc
import sys

import pytest

from sparkopt.tracking.trial import mlflow_import
from sparkopt.tracking.trial.mlflow_import import when_loaded


@pytest.fixture
def module(tmp_path, monkeypatch):
    """Writes a module that the watch takes for MLflow."""

    def write(text):
        (tmp_path / "no_mlflow_at_all.py").write_text(text)

    monkeypatch.setattr(mlflow_import, "_MLFLOW", "no_mlflow_at_all")
    monkeypatch.setattr(mlflow_import, "_waiting", [])
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    yield write
    sys.modules.pop("no_mlflow_at_all", None)


@pytest.fixture(params=[True, False])
def collecting(request):
    """Garbage collection, on or off as a user may have it."""
    before = gc.isenabled()
    (gc.enable if request.param else gc.disable)()
    yield request.param
    (gc.enable if before else gc.disable)()


def test_no_garbage_is_collected_while_it_is_loaded(module, collecting):
    module("import gc\nwas_on = gc.isenabled()\n")
    told = []
    when_loaded(lambda: told.append(sys.modules["no_mlflow_at_all"].was_on))
    import no_mlflow_at_all

    assert (no_mlflow_at_all.was_on, told, gc.isenabled()) == (False, [False], collecting)


def test_it_is_collected_again_after_one_that_cannot_be_loaded(module, collecting):
    module("raise ImportError('half of it is missing')")
    when_loaded(lambda: None)
    with pytest.raises(ImportError, match="half of it"):
        import no_mlflow_at_all  # noqa: F401
    assert gc.isenabled() is collecting
