"""The reference has every public name."""

from __future__ import annotations

import inspect
import re

import sparkopt
import sparkopt.client
import sparkopt.errors
import sparkopt.hyperopt
import sparkopt.optuna
import sparkopt.plots
from tests.support.paths import ROOT

PAGE = ROOT / "docs" / "reference" / "python.md"
ENTRY = re.compile(r"^\.\. auto(\w+):: (sparkopt[\w.]*)$", re.MULTILINE)
MODULES = {"optuna", "plots"}
"""Names of ``sparkopt`` that are modules, whose own names the page has."""


def test_every_public_name_is_in_the_reference():
    entries = ENTRY.findall(PAGE.read_text(encoding="utf-8"))
    named = {name for _, name in entries}
    whole = {name for kind, name in entries if kind == "module"}
    missing = {f"sparkopt.{name}" for name in set(sparkopt.__all__) - MODULES} - named
    for module in (sparkopt.optuna, sparkopt.hyperopt, sparkopt.plots, sparkopt.client):
        if module.__name__ not in whole:
            missing |= {f"{module.__name__}.{name}" for name in module.__all__} - named
    assert missing == set()
    assert {"sparkopt.errors", "sparkopt.client"} <= whole


def test_what_the_reference_shows_is_described():
    errors = [each for _, each in inspect.getmembers(sparkopt.errors, inspect.isclass)]
    shown = [*errors, *(getattr(sparkopt.client, name) for name in sparkopt.client.__all__)]
    ours = [each for each in shown if each.__module__.startswith("sparkopt.")]
    assert [each.__name__ for each in ours if not each.__doc__] == []
