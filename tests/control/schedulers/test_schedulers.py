"""Schedulers of other makers drive a ``sparkopt serve``: the examples of docs/control-api.md, as they are."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sparkopt import ControlClient
from tests.support.served import Served

ROOT = Path(__file__).parents[3]
PAGE = ROOT / "docs" / "control-api.md"
FILE = re.compile(r"^```\w+ (?P<name>\w+\.\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
POINTS = 40
SECONDS = 150


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Holds the page's files."""
    found = tmp_path_factory.mktemp("schedulers")
    for match in FILE.finditer(PAGE.read_text(encoding="utf-8")):
        (found / match["name"]).write_text(match["text"], encoding="utf-8")
    return found


@pytest.fixture(scope="module")
def served(directory):
    """The page's objective, served."""
    running = Served(directory, "train:objective")
    yield running
    assert running.end() == 0


@pytest.fixture
def client(served):
    with ControlClient(served.address, token=served.token) as opened:
        yield opened


@pytest.fixture(scope="module")
def node_packages():
    """The directory with what the JavaScript needs, which scripts/test has installed."""
    script = "source scripts/environment.sh; node_packages"
    subprocess.run(["bash", "-c", script], cwd=ROOT, check=True, timeout=SECONDS)
    return ROOT / ".venv" / "node" / "node_modules"


def run(served, *command, **environment):
    """Run a scheduler to its end; what it printed last."""
    done = subprocess.run(
        [*map(str, command[:2]), served.address, served.token_file, *map(str, command[2:])],
        cwd=served.token_file.parent,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()


def check(client, before, lines):
    """The service has evaluated what the scheduler says."""
    trials = [trial for trial in client.trials() if trial.tid >= before]
    best = re.fullmatch(rf"best of {POINTS}: (\S+) at .*", lines[-1])
    assert best, lines
    assert len(trials) == POINTS
    assert {trial.state for trial in trials} == {"ok"}
    assert all(trial.values["kind"] in ("round", "steep") for trial in trials)
    assert float(best[1]) == pytest.approx(min(trial.loss for trial in trials), abs=1e-4)
    return trials


def submitted(client):
    return client.status().trials.submitted


def test_optuna_asks_and_tells(served, client):
    before = submitted(client)
    trials = check(client, before, run(served, sys.executable, "optuna_search.py"))
    assert len({trial.request_id for trial in trials}) == POINTS


def test_hyperopts_own_fmin_has_its_points_evaluated(served, client):
    before = submitted(client)
    check(client, before, run(served, sys.executable, "hyperopt_search.py"))


def test_a_client_in_javascript_works_from_the_proto_alone(served, client, node_packages):
    before = submitted(client)
    node = Path(sys.executable).parent / "node"
    lines = run(served, node, "search.js", ROOT / "proto", NODE_PATH=str(node_packages))
    check(client, before, lines)
    assert client.status().pool in lines[0]


def test_the_javascript_says_what_it_was_refused_for(served, tmp_path, node_packages):
    wrong = tmp_path / "wrong.token"
    wrong.write_text("wrong")
    node = Path(sys.executable).parent / "node"
    done = subprocess.run(
        [node, "search.js", served.address, wrong, ROOT / "proto"],
        cwd=served.token_file.parent,
        env={**os.environ, "NODE_PATH": str(node_packages)},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("UNAUTHENTICATED: ")
