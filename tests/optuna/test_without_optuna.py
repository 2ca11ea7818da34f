"""sparkopt where there is no Optuna, and what is loaded for it where there is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest


def test_optuna_is_loaded_when_it_is_used():
    script = (
        "import sys, sparkopt; sparkopt.optuna; assert 'optuna' not in sys.modules;"
        "sparkopt.optuna.optimize; import optuna; assert optuna is not sparkopt.optuna;"
        "assert hasattr(optuna, 'create_study')"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_an_error_says_what_to_install(monkeypatch):
    from sparkopt import optuna as room

    monkeypatch.delitem(room.__dict__, "optimize", raising=False)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'sparkopt\[optuna\]'") as caught:
        _ = room.optimize
    assert caught.value.name == "optuna"
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = room.no_such_name
