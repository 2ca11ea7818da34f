"""Refusals of scripts/release, in a checkout of a few files; the version is the same in each place."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

import sparkopt

ROOT = Path(__file__).resolve().parents[2]
FILES = {
    "pyproject.toml": 'version = "0.2.0"\n',
    "CHANGELOG.md": "## [0.2.0] - 2026-12-01\n",
    "README.md": "pip install sparkopt-0.2.0-py3-none-any.whl\n",
}


def run(directory, *command):
    return subprocess.run(command, cwd=directory, capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def checkout(tmp_path):
    """One that is right, but whose tests cannot be run."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / "scripts" / "release", tmp_path / "scripts")
    tests = tmp_path / "scripts" / "test"
    tests.write_text('#!/bin/sh\necho "tested $*"; exit 7\n')
    tests.chmod(0o755)
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    assert run(tmp_path, "git", "init", "--quiet").returncode == 0
    commit(tmp_path)
    return tmp_path


def commit(checkout):
    assert run(checkout, "git", "add", "--all").returncode == 0
    somebody = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.org")
    assert run(checkout, "git", *somebody, "commit", "--quiet", "--message", "All").returncode == 0


@pytest.mark.parametrize("version", ["", "0.2", "v0.2.0", "0.2.0-1", "0.2.0 "])
def test_a_version_is_three_numbers(checkout, version):
    done = run(checkout, "scripts/release", version)
    assert (done.returncode, done.stdout) == (1, "")
    assert f"a version such as 0.2.0 or 0.2.0rc1 is expected, not '{version}'" in done.stderr


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("pyproject.toml", 'version = "0.1.0"\n', 'pyproject.toml has version = "0.1.0": set it to 0.2.0'),
        ("CHANGELOG.md", "## [Unreleased]\n", "has no section '## [0.2.0] - YYYY-MM-DD'"),
        ("CHANGELOG.md", "## [0.2.0]\n", "has no section '## [0.2.0] - YYYY-MM-DD'"),
        ("README.md", "sparkopt-0.1.0-py3-none-any.whl\n", "README.md installs sparkopt-0.1.0-py3"),
    ],
)
def test_files_that_say_something_else_are_named(checkout, name, text, said):
    (checkout / name).write_text(text)
    commit(checkout)
    done = run(checkout, "scripts/release", "0.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert said in done.stderr


def test_changes_that_are_not_committed_are_refused(checkout):
    (checkout / "new.py").touch()
    done = run(checkout, "scripts/release", "0.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the checkout has changes" in done.stderr


def test_a_version_is_released_once(checkout):
    assert run(checkout, "git", "tag", "v0.2.0").returncode == 0
    done = run(checkout, "scripts/release", "0.2.0")
    assert (done.returncode, done.stdout) == (1, "")
    assert "the tag v0.2.0 exists" in done.stderr


def test_what_fails_its_tests_is_neither_built_nor_tagged(checkout):
    done = run(checkout, "scripts/release", "0.2.0")
    assert (done.returncode, done.stdout) == (7, "tested --slow\n")
    assert not (checkout / "dist").exists()
    assert run(checkout, "git", "tag").stdout == ""


def test_the_version_stands_the_same_everywhere():
    (version,) = re.findall(r'^version = "(.*)"$', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)
    assert sparkopt.__version__ == version
    wheels = re.findall(r"sparkopt-([\w.]+)-py3-none-any\.whl", (ROOT / "README.md").read_text())
    assert wheels
    assert set(wheels) == {version}
    changes = (ROOT / "CHANGELOG.md").read_text()
    assert re.findall(r"^## \[(\d.*)\] - \d{4}-\d\d-\d\d$", changes, re.MULTILINE)[0] == version
