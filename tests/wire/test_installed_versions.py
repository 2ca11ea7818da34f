"""Versions of packages, also of those that pip has not installed."""

from __future__ import annotations

import sys
from importlib import metadata
from types import ModuleType

import sparkopt
from sparkopt.wire.installed_versions import version_of


def test_a_loaded_package_says_its_version_itself():
    assert version_of("sparkopt") == sparkopt.__version__


def test_one_that_is_not_loaded_has_metadata():
    assert "import_linter" not in sys.modules
    assert version_of("import-linter") == metadata.version("import-linter")


def test_what_is_unknown_is_said_to_be(monkeypatch):
    monkeypatch.setitem(sys.modules, "in_a_zip_file", ModuleType("in_a_zip_file"))
    assert version_of("in_a_zip_file") == version_of("not_there_at_all") == "unknown"
