"""``sparkopt dashboard``: a running pool, a journal, and what it says when it cannot begin."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import optuna
import pytest
from click.testing import CliRunner
from hyperopt import hp, rand

from sparkopt import SparkTrials, fmin
from sparkopt.cli import main
from sparkopt.dashboard.dashboards import Dashboard
from tests.dashboard.visitor import Visitor
from tests.support.processes import started

SPACE = {"x": hp.uniform("x", -1, 1), "kind": hp.choice("kind", ["a", "b"])}


@pytest.fixture(scope="module")
def journal(spark, tmp_path_factory):
    """The journal of a search of four trials, one of which has failed, and what it found."""
    path = tmp_path_factory.mktemp("journals") / "search.journal"
    trials = SparkTrials(2, spark_session=spark, journal=path)

    def objective(point):
        import sparkopt

        sparkopt.report(7.5, 3)
        return point["x"] ** 2

    fmin(objective, SPACE, rand.suggest, 4, trials=trials, verbose=False)
    return path, sorted(trials.losses())


@pytest.fixture
def shown(monkeypatch):
    """Runs the command in this process until it would serve, and returns what it says and its dashboard."""
    served = []

    def serve(self):
        served.append(self)

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, ["dashboard", "--listen", "127.0.0.1:0", *map(str, arguments)])
        assert result.exit_code == code, result.output
        return result.output, served[-1] if served else None

    monkeypatch.setattr(Dashboard, "serve", serve)
    return run


def trials_of(dashboard):
    return dashboard.mirror.storage.get_all_trials(0, deepcopy=False)


def test_a_journal_is_shown_after_the_fact(shown, journal):
    path, losses = journal
    said, dashboard = shown("--journal", path, "--trust")
    assert "4 trials in" in said
    trials = trials_of(dashboard)
    assert sorted(trial.value for trial in trials) == losses
    # The journal describes its space.
    kinds = optuna.distributions.CategoricalDistribution(["a", "b"])
    expected = {"x": optuna.distributions.FloatDistribution(-1, 1), "kind": kinds}
    assert [trial.distributions for trial in trials] == [expected] * 4
    assert all(-1 <= trial.params["x"] <= 1 and trial.params["kind"] in ("a", "b") for trial in trials)
    assert [trial.intermediate_values for trial in trials] == [{3: 7.5}] * 4


def test_nothing_of_a_journal_is_unpickled_without_trust(shown, journal):
    said, dashboard = shown("--journal", journal[0])
    assert "neither losses nor values" in said
    assert [(trial.params, trial.intermediate_values) for trial in trials_of(dashboard)] == [
        ({}, {3: 7.5})
    ] * 4


def test_it_follows_a_pool_until_it_is_interrupted(rig, tmp_path):
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text(rig.server.token)
    where = ["--address", rig.server.address, "--token-file", str(token)]
    command = [sys.executable, "-m", "sparkopt", "dashboard", *where, "--listen", "127.0.0.1:0"]
    with started(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == f"Following the pool at {rig.server.address}\n"
        link = re.fullmatch(r"Dashboard: (\S+)\n", process.stdout.readline())[1]
        visitor = Visitor(link.partition("?")[0])
        assert visitor.open(link).status == 303
        (search,) = visitor.ask("/search/state").json["searches"]
        assert (search["title"], search["state"]) == (rig.server.address, "following")
        assert visitor.act(pool=search["pool"], do="pause").status == 200
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (130, "interrupted\n")
    assert rig.on_loop(lambda: rig.coordinator.machine.paused)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--trust"], 2, "name one with --journal"),
        (["--journal", "x", "--address", "127.0.0.1:1"], 2, "give one of them"),
        (["--tls-cert", "x"], 2, "belong together"),
        (["--journal", "no/such/journal"], 2, "no/such/journal"),
        (["--address", "127.0.0.1:1", "--token-file", "no-token"], 4, "no token file no-token"),
        (["--address", "127.0.0.1"], 2, "there is no service at"),
    ],
)
def test_what_it_cannot_show_is_said(shown, arguments, code, message):
    said, _ = shown(*arguments, code=code)
    assert message in said


def test_nobody_answers(shown, tmp_path):
    token = tmp_path / "token"
    token.touch(mode=0o600)
    token.write_text("a-token")
    assert (
        "nobody answers at 127.0.0.1:1" in shown("--address", "127.0.0.1:1", "--token-file", token, code=3)[0]
    )
