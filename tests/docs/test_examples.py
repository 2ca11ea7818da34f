"""The documentation's examples run, and its tables are complete."""

from __future__ import annotations

import inspect
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import hyperopt
import pytest
from pyspark.sql import SparkSession

import sparkopt
from tests.support.mlflow_parts import HAS_DATABASES

ROOT = Path(__file__).parents[2]
TUTORIAL = ROOT / "docs" / "tutorial.md"
MODEL_SEARCH = ROOT / "docs" / "model-search.md"
PRUNING = ROOT / "docs" / "pruning-examples.md"
PAGES = [
    ROOT / "README.md",
    *sorted(page for page in (ROOT / "docs").glob("*.md") if page not in (TUTORIAL, PRUNING)),
    *sorted((ROOT / "docs" / "platforms").glob("*.md")),
]
EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
MIGRATING = ROOT / "docs" / "migrating-from-sparktrials.md"


def examples(page):
    """A page's examples, each with the number of its first line."""
    text = page.read_text(encoding="utf-8")
    return [(text[: match.start(1)].count("\n"), match.group(1)) for match in EXAMPLE.finditer(text)]


def pages_with_examples():
    """These pages, the slow one marked: its workers import scikit-learn."""
    for page in PAGES:
        if examples(page):
            yield pytest.param(page, id=page.name, marks=pytest.mark.slow if page == MODEL_SEARCH else ())


@pytest.mark.filterwarnings("ignore::sparkopt.errors.SparkoptWarning")
@pytest.mark.parametrize("page", [*pages_with_examples()])
def test_a_pages_examples_run_one_after_another(spark, page, tmp_path, monkeypatch, request):
    assert SparkSession.getActiveSession() is spark
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    for line, code in examples(page):
        if code.startswith("import mlflow\n"):
            if not HAS_DATABASES:
                continue
            shutil.copy(request.getfixturevalue("empty_store"), tmp_path / "mlflow.db")
            monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
        exec(compile("\n" * line + code, str(page), "exec"), namespace)


@pytest.mark.slow  # it makes a Spark session and a store of its own: 25 s
@pytest.mark.timeout(400)
def test_the_tutorial_ends_with_a_model_that_is_loaded_back(tmp_path):
    script = tmp_path / "tutorial.py"
    script.write_text("\n".join(code for _, code in examples(TUTORIAL)), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, str(script)],
        cwd=tmp_path,
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "PYSPARK_SUBMIT_ARGS": "pyspark-shell",
        },
        capture_output=True,
        text=True,
        timeout=380,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    printed = re.sub(r".*\r", "", done.stdout)  # without the bar, which is on the same stream
    assert re.search(r"^\{'alpha': .*\}\n0\.0\d+\n30 trials, 0 failed$", printed, re.MULTILINE), printed
    assert re.search(r"^\{'count': \d+, 'kind': 'neighbours'\}$", printed, re.MULTILINE), printed
    assert re.search(r"^\d+ of 30 trials were stopped early$", printed, re.MULTILINE), printed
    assert float(printed.splitlines()[-1]) > 0.95


def first_cells(page, heading):
    """The names in the first column of the table under a heading."""
    section = page.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [row.split("|")[1] for row in section.splitlines() if row.startswith("|")][2:]
    return {name for row in rows for name in re.findall(r"`(\w+)`", row)}


def test_every_argument_of_fmin_is_in_the_table():
    assert first_cells(MIGRATING, "Arguments of `fmin`") == set(inspect.signature(hyperopt.fmin).parameters)


def test_everything_of_spark_trials_is_in_the_table():
    listed = first_cells(MIGRATING, "`SparkTrials`")
    arguments = set(inspect.signature(sparkopt.SparkTrials).parameters)
    theirs = {name for name in vars(hyperopt.SparkTrials) if not name.startswith("_")}
    assert listed >= arguments | theirs - {"fmin", "asynchronous"}
    public = set(dir(sparkopt.SparkTrials)) | arguments | {"timings", "user_specified_parallelism"}
    assert listed <= public
