"""The benchmarks as a user runs them, with sizes that take seconds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from benchmarks.__main__ import main
from benchmarks.peers import PEERS
from benchmarks.question import Form, question
from benchmarks.questions import QUESTIONS
from benchmarks.record import Limit
from benchmarks.tables import Table

ROOT = Path(__file__).resolve().parents[2]


def ask(tmp_path: Path, name: str, *options: str) -> tuple[dict, str]:
    """Ask a question in a process of its own; its record, and what it printed."""
    path = tmp_path / f"{name}.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks",
        name,
        *options,
        "--json",
        str(path),
        "--plot",
        str(tmp_path),
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=400, check=False)
    assert path.exists(), f"{done.stdout}\n{done.stderr}"
    record = json.loads(path.read_text())
    met = [Limit(**limit).met for limit in record["limits"]]
    assert done.returncode == (1 if False in met else 0), f"{done.stdout}\n{done.stderr}"
    assert done.stdout.count("limit: ") == len(met)
    assert (tmp_path / f"{name}.svg").exists() == (QUESTIONS[name].form.picture is not None)
    return record, done.stdout


def small(limits=(), suits=None, asked=None):
    """A question that is quickly answered."""

    def measure(**settings):
        if asked is not None:
            asked.append(settings)
        return {"value": [1.0]}

    def tables(record):
        return [Table("the title", ("", "value"), [("sparkopt", str(record.figures["value"]))])]

    measure.__name__ = "small"
    return question(Form("?", tables, lambda settings, figures: list(limits), suits=suits))(measure)


def test_every_question_has_a_command_with_the_same_options():
    runner = CliRunner()
    for name, each in QUESTIONS.items():
        text = runner.invoke(main, [name, "--help"]).output
        assert "--json" in text
        assert "--plot" in text
        assert ("--against" in text) == (each.form.suits is not None)


@pytest.mark.parametrize(("value", "code"), [(0.5, 0), (1.5, 1), (None, 0)])
def test_a_limit_that_is_missed_is_the_exit_status(value, code):
    limit = Limit("the value", 1.0, value)
    done = CliRunner().invoke(small([limit]), [])
    assert done.exit_code == code
    assert limit.text in done.output


def test_the_record_is_written_even_if_a_limit_is_missed(tmp_path):
    path = tmp_path / "small.json"
    done = CliRunner().invoke(small([Limit("the value", 1.0, 2.0)]), ["--json", str(path)])
    assert done.exit_code == 1
    record = json.loads(path.read_text())
    assert record["figures"] == {"value": [1.0]}
    assert record["seconds"] >= 0


@pytest.mark.parametrize(
    ("arguments", "names"),
    [
        ([], []),
        (["--against", "optuna", "sparktrials"], ["sparktrials", "optuna"]),
        (["--against", "optuna", "--against", "sparktrials"], ["sparktrials", "optuna"]),
        (["--against", "all"], list(PEERS)),
        (["--against", "optuna", "optuna", "--json", "/dev/null"], ["optuna"]),
    ],
)
def test_peers_are_named_one_after_another(arguments, names):
    asked: list[dict] = []
    done = CliRunner().invoke(small(suits=lambda peer: True, asked=asked), arguments)
    assert done.exit_code == 0, done.output
    (settings,) = asked
    assert [peer.name for peer in settings["against"]] == [
        name for name in names if PEERS[name].missing() is None
    ]


def test_a_peer_that_is_not_installed_is_said_to_be_missing(tmp_path, monkeypatch):
    import dataclasses

    absent = dataclasses.replace(PEERS["optuna"], packages=("no-such-package",))
    monkeypatch.setitem(PEERS, "optuna", absent)
    asked: list[dict] = []
    path = tmp_path / "small.json"
    done = CliRunner().invoke(
        small(suits=lambda peer: True, asked=asked), ["--against", "optuna", "hyperopt", "--json", str(path)]
    )
    assert done.exit_code == 0
    assert "missing: Optuna alone, serial: not installed: no-such-package" in done.output
    assert [peer.name for peer in asked[0]["against"]] == ["hyperopt"]
    record = json.loads(path.read_text())
    assert record["missing"] == {"optuna": "not installed: no-such-package (extra 'bench')"}
    assert record["settings"]["against"] == ["hyperopt"]


def test_a_peer_that_cannot_answer_is_refused():
    done = CliRunner().invoke(QUESTIONS["growth"], ["--against", "sparktrials"])
    assert done.exit_code == 2
    assert "sparktrials cannot answer this question" in done.output
    assert "hyperopt" in done.output


@pytest.mark.slow
@pytest.mark.timeout(420)
def test_the_overhead_is_measured_against_a_peer(tmp_path):
    sizes = ["--trials", "20", "--rounds", "1", "--baseline-trials", "2"]
    record, printed = ask(tmp_path, "overhead", *sizes, "--against", "sparktrials", "hyperopt")
    figures = record["figures"]["ms_per_trial"]
    assert {name: len(values) for name, values in figures.items()} == {
        "sparkopt": 1,
        "sparktrials": 1,
        "hyperopt": 1,
    }
    assert record["figures"]["trials"] == {"sparkopt": 20, "sparktrials": 2, "hyperopt": 20}
    assert record["versions"]["pyspark"]
    assert "times sparkopt" in printed
    # The limits are those of searches that are a hundred times as long.
    assert [limit["value"] for limit in record["limits"]] == [None, None, None]


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", [name for name in PEERS if name not in ("sparktrials", "hyperopt")])
def test_every_peer_runs_a_search(tmp_path, name):
    if (why := PEERS[name].missing()) is not None:
        pytest.skip(why)
    sizes = ["--trials", "6", "--rounds", "1", "--baseline-trials", "2"]
    record, _ = ask(tmp_path, "overhead", *sizes, "--against", name)
    assert len(record["figures"]["ms_per_trial"][name]) == 1


@pytest.mark.slow
@pytest.mark.timeout(420)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("growth", "--trials 200 --rounds 1 --against hyperopt"),
        (
            "utilisation",
            "--trials 4 --baseline-trials 2 --rounds 1 --parallelism 2 --against sparktrials-queued",
        ),
        ("payload", "--trials 2 --rounds 1 --megabytes 3 --against sparktrials"),
        ("startup", "--rounds 1 --again 1 --against sparktrials"),
        ("quality", "--workers 8 --seeds 2 --half deciding --of tpe --of parallel_tpe"),
        (
            "time-to-loss",
            "--objective digits --rounds 1 --parallelism 2 --seconds 0.05 --patience 20 --serial-seeds 1"
            " --against sparktrials-queued mlflow-spark",
        ),
        ("workers", "--numbers 2,3 --trials 20 --streams 20 --seconds 6"),
        ("footprint", "--number 2 --rounds 1"),
        ("modelsearch", "--trials 2 --seeds 1 --against hyperopt"),
        ("journal", "--trials 20 --rounds 1"),
        ("tracking", "--trials 4 --rounds 1"),
        ("tracking-server", "--trials 4 --rounds 1 --workers 2 --seconds 0.05"),
        ("control", "--points 20 --rounds 1"),
        ("elastic", "--trials 8 --work 0.2 --pause 2 --rounds 1"),
        ("verdicts", "--workers 2 --rate 200 --trials 4 --reports 5 --busy-seconds 0.05 --flood 100"),
        ("optuna", "--trials 20 --rounds 1 --parallelism 2 --baseline-trials 4 --against all"),
    ],
)
def test_every_question_is_answered(tmp_path, name, options):
    record, printed = ask(tmp_path, name, *options.split())
    assert record["question"] == name
    assert f"{name}: " in printed


def test_what_pruning_saves_is_played_on_recorded_curves(tmp_path):
    record, text = ask(tmp_path, "pruning", "--trials", "40", "--seeds", "2")
    for name, steps in (("digits", 27), ("diabetes", 81)):
        measured = record["figures"]["curves"][name]
        assert measured["steps"] == steps
        ours, theirs = measured["rules"]["sparkopt"], measured["rules"]["optuna"]
        assert (ours["none"]["work"], ours["none"]["best"]) == ([1, 1], [0, 0])
        for rule in ("median after a third", "best quarter after a third", "ASHA from a ninth"):
            assert ours[rule]["work"] == theirs[rule]["work"]
            assert ours[rule]["best"] == theirs[rule]["best"]
            assert 0 < ours[rule]["work"][0] < 1
    assert "Rank correlation of a loss with that of the last step, 27" in text
