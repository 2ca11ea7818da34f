"""Each snippet of README and the documentation is run by a test, or this file says why it is not.

Blocks of Python are run by test_examples.py, those with a file's name by tests/control/schedulers. Names
and options of commands are checked here; what they do is tested in tests/cli, and by the scripts themselves.
"""

from __future__ import annotations

import re
import shlex

import pytest

from sparkopt.cli import main as sparkopt
from tests.docs.snippets import FENCED, PAGES, check_options, commands_in, indented, name_of
from tests.support.paths import ROOT

COMMAND = re.compile(
    r"^(?:\S*/)?(?:sparkopt|scripts/\S+|\S*python[\d.]*|\S*pip|node|git|docker|tutorial/\S+)\s"
)

RUN_ELSEWHERE = {
    "python": "test_examples.py, test_pruning_examples.py",
    "python train.py": "tests/control/schedulers",
    "python optuna_search.py": "tests/control/schedulers",
    "python hyperopt_search.py": "tests/control/schedulers",
    "js search.js": "tests/control/schedulers",
    "bash": "commands: below",
    "mermaid": "drawn from the code: scripts/diagrams",
    "": "drawings",
}
"""Languages of blocks, and where they are run."""

NOT_RUN = {
    "docs/control-api.md": {
        '$ printf \'{"x"': "a session of a shell, whose command is run in tests/cli/test_evaluate.py",
        "$ sparkopt story 3": "a session of a shell, whose command is run in tests/cli",
    },
    "docs/dashboard.md": {
        "sparkopt.optuna.optimize": "a call of docs/optuna.md's; tests/dashboard follows such a study"
    },
    "docs/gpus.md": {"spark.executor.resource.gpu.amount": "settings: tests/spark/test_gpus.py has them"},
    "docs/logging.md": {"2026-03-04 10:15:02,871": "lines of a log"},
    "docs/notebooks.md": {
        "40 trials in 16.0 s": "a line of a notebook",
        "KeyboardInterrupt: fmin": "a line of a notebook",
    },
    "docs/platforms/databricks.md": {
        "dbutils.library": "exists on Databricks only",
        "from sparkopt import": "a line of the first example of README",
    },
    "docs/platforms/dataproc.md": {"#!/bin/bash": "of Google's cloud", "gcloud": "of Google's cloud"},
    "docs/platforms/emr.md": {
        "PYSPARK_DRIVER_PYTHON": "a cluster's command; tests/spark packs and sends an environment",
        '[{"Classification"': "of Amazon's cloud",
    },
    "docs/platforms/kubernetes.md": {
        "FROM YOUR-IMAGE": "needs a registry of images",
        "spark-submit": "needs Kubernetes; its page says how it was tried",
    },
    "docs/platforms/standalone.md": {"PYSPARK_": "a cluster's command; tests/spark starts such clusters"},
    "docs/platforms/synapse-fabric.md": {"%%configure": "exists on Synapse and Fabric only"},
    "docs/platforms/yarn.md": {"PYSPARK_DRIVER_PYTHON": "a cluster's command; needs YARN"},
}
"""Snippets that are not run: for each page, the beginning of the snippet and the reason."""


pages = pytest.mark.parametrize("page", PAGES, ids=name_of)


@pages
def test_blocks_are_in_languages_that_are_run(page):
    found = {match.group(1) for match in FENCED.finditer(page.read_text(encoding="utf-8"))}
    assert {each for each in found if not each.startswith("{")} <= set(RUN_ELSEWHERE)


@pages
def test_what_is_not_run_has_a_reason(page):
    reasons = NOT_RUN.get(name_of(page), {})
    strangers = [
        part
        for part in indented(page)
        if not any(part.startswith(beginning) for beginning in reasons)
        and not all(COMMAND.match(f"{line.strip()} ") for line in part.replace("\\\n", "").splitlines())
    ]
    assert strangers == []


@pages
def test_reasons_are_of_snippets_that_are_there(page):
    parts = [*indented(page)]
    for beginning in NOT_RUN.get(name_of(page), {}):
        assert any(part.startswith(beginning) for part in parts), beginning


@pages
def test_commands_and_their_options_exist(page):
    for command in commands_in(page):
        if re.match(r"(?:\S*/)?sparkopt\s", command):
            check_options(sparkopt, shlex.split(re.split(r" [<>] ", command)[0])[1:])
        elif found := re.match(r"(scripts/\w+)", command):
            assert (ROOT / found[1]).is_file()
        elif found := re.match(r"\S*python3? -m pytest (.*)", command):
            files = [word for word in shlex.split(found[1]) if word.startswith("tests/")]
            assert all((ROOT / file).exists() for file in files), command


def test_wrong_commands_are_found():
    with pytest.raises(AssertionError):
        check_options(sparkopt, ["trials", "--status", "ok"])
    with pytest.raises(AssertionError):
        check_options(sparkopt, ["journal", "print"])
