"""The commands as a user runs them: processes of their own, judged by exit status and what they print."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from mlflow import MlflowClient

from sparkopt.cli import main
from tests.support.connect_session import FREE_PORT, OTHER_HOME

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=cwd,
        env={**os.environ, **FREE_PORT},
        capture_output=True,
        text=True,
        timeout=150,
        check=False,
    )


def test_help_names_the_commands() -> None:
    result = CliRunner().invoke(main, ["--help"])
    assert result.exit_code == 0
    assert "demo" in result.output


@pytest.mark.parametrize("package", ["click", "rich"])
def test_without_its_packages_the_command_line_says_what_to_install(package) -> None:
    script = f"import sys; sys.modules[{package!r}] = None; from sparkopt.__main__ import run; run()"
    done = run("-c", script)
    assert done.returncode == 1
    assert done.stderr == (
        f"sparkopt's commands need {package}, which is not installed: pip install 'sparkopt[cli]'\n"
    )


@pytest.mark.parametrize(
    "option", ["--trials", "--parallelism", "--master", "--remote", "--seed", "--timeout", "--tracking"]
)
def test_help_of_the_demo_explains_each_option(option: str) -> None:
    result = CliRunner().invoke(main, ["demo", "--help"])
    line = next(line for line in result.output.splitlines() if line.strip().startswith(option))
    following = result.output.split(line, 1)[1]
    assert len(line.split()) > 2 or following.startswith("\n      ")


@pytest.mark.parametrize(
    "arguments", [["--trials", "0"], ["--parallelism", "0"], ["--timeout", "0"], ["--timeout", "nan"]]
)
def test_nonsense_is_refused_before_anything_starts(arguments: list[str]) -> None:
    result = CliRunner().invoke(main, ["demo", *arguments])
    assert result.exit_code == 2
    assert arguments[0] in result.output


@pytest.mark.parametrize("option", ["--grace", "--start-timeout", "--trial-timeout"])
@pytest.mark.parametrize("value", ["nan", "-1"])
def test_serve_takes_no_seconds_that_are_none(option: str, value: str) -> None:
    result = CliRunner().invoke(main, ["serve", "no_such_module:objective", option, value])
    assert result.exit_code == 2
    assert option in result.output


def test_the_demo_searches_over_models_and_says_where_the_time_went_and_where_it_is_logged(
    tmp_path: Path,
) -> None:
    check_the_demo(tmp_path)


@pytest.mark.slow
@pytest.mark.skipif(OTHER_HOME is not None, reason="this PySpark has no server of Spark Connect to start")
def test_the_demo_on_spark_connect_logs_to_the_database_that_is_there(
    tmp_path: Path, empty_store: Path
) -> None:
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    check_the_demo(tmp_path, "--remote", "local[2]")


def check_the_demo(tmp_path: Path, *where: str) -> None:
    result = run("-m", "sparkopt", "demo", "--trials", "8", "--seed", "3", *where, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "best of each model" in result.stdout
    assert "best setting" in result.stdout
    for row in ("pool start", "suggesting", "workers busy", "workers waiting"):
        assert row in result.stdout
    assert "8/8" in result.stdout  # the progress bar's last word
    assert "best loss" in result.stdout
    assert "ui --backend-store-uri sqlite:///mlflow.db" in " ".join(result.stdout.split())
    assert "alembic" not in result.stdout + result.stderr
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("sparkopt demo")
    assert experiment is not None
    assert len(client.search_runs([experiment.experiment_id])) == 9
