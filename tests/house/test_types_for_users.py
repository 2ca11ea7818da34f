"""Scripts of users, type-checked against sparkopt as a wheel installs it."""

from __future__ import annotations

import re
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = """
[mypy]
strict = true

[mypy-hyperopt.*]
ignore_missing_imports = true
"""

RIGHT = """
from pathlib import Path
from typing import Any

from hyperopt import hp, tpe

from sparkopt import Control, ControlClient, SparkTrials, WorkerPool, fmin
from sparkopt.client import Evaluation, Event, PoolStatus, Story, TrialInfo
from sparkopt.errors import PoolError


def objective(x: float) -> dict[str, Any]:
    return {"loss": x * x, "status": "ok"}


def main() -> None:
    with WorkerPool(parallelism=2, control=Control("127.0.0.1:0")) as pool:
        trials = SparkTrials(pool=pool, trial_timeout=60, max_attempts=2, journal=Path("search.journal"))
        try:
            best = fmin(objective, hp.uniform("x", -1, 1), algo=tpe.suggest, max_evals=20, trials=trials)
        except PoolError as error:
            print(error, trials.count_lost_trials())
        else:
            print(best)
        with ControlClient(pool.control_address, token=pool.control_token) as client:
            status: PoolStatus = client.status()
            found: list[TrialInfo] = list(client.trials(states=["ok"]))
            story: Story = client.story(found[0].tid, study=status.studies[0].name)
            outcomes: list[Evaluation] = list(client.evaluate([{"x": 0.5}]))
            for event in client.watch(after=status.last_event):
                first: Event = event
                print(first.kind, story.lines, outcomes)
    fmin(objective, {"x": hp.uniform("x", 0, 1)}, max_evals=10, trials=SparkTrials(parallelism=4))
"""

WRONG = """
import sparkopt
from sparkopt import Control, ControlClient, SparkTrials, WorkerPool, fmin
from sparkopt import spark_trials  # attr-defined

sparkopt.minimize  # attr-defined
fmin(abs, None, max_evals="20")  # arg-type
fmin(abs, None, max_eval=20)  # call-arg
fmin(3, None)  # arg-type
SparkTrials(parallelism="two")  # arg-type
SparkTrials(journals="search.journal")  # call-arg
WorkerPool(2, gang_size="1")  # arg-type
WorkerPool(2, gangs=1)  # call-arg
ControlClient("127.0.0.1:7727")  # call-arg
client = ControlClient("127.0.0.1:7727", token=b"secret")  # arg-type
client.set_parallelism("2")  # arg-type
client.story(1.5)  # arg-type
client.status().trials.okay  # attr-defined
Control(tokens="secret")  # call-arg
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout."""
    directory = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(directory)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = directory.glob("*.whl")
    return built


def test_the_wheel_says_that_it_has_types(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
    assert "sparkopt/py.typed" in names
    assert {f"sparkopt/wire/v1/{name}_pb2.pyi" for name in ("control", "trial", "worker")} <= names


@pytest.fixture(scope="module")
def said(wheel, tmp_path_factory):
    """Lines that mypy has to say of the two scripts, in an environment that has the wheel."""
    directory = tmp_path_factory.mktemp("user")
    home = directory / "environment"
    venv.create(home, with_pip=False)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)}))
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(site)
    # Everything else is that of this environment, whose own sparkopt comes after the wheel's.
    others = [path for path in sys.path if Path(path).name == "site-packages"]
    (site / "others.pth").write_text("\n".join(others))
    (directory / "mypy.ini").write_text(SETTINGS)
    (directory / "right.py").write_text(RIGHT)
    (directory / "wrong.py").write_text(WRONG)
    command = [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", "--cache-dir", "cache"]
    done = subprocess.run(
        [*command, "--python-executable", str(home / "bin" / "python"), "right.py", "wrong.py"],
        cwd=directory,
        capture_output=True,
        text=True,
        timeout=170,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    return done.stdout.splitlines()


@pytest.mark.slow  # mypy reads all of sparkopt: 20 s
def test_a_script_that_is_right_passes(said):
    assert [line for line in said if not line.startswith(("wrong.py:", "Found "))] == []


@pytest.mark.slow
def test_each_argument_that_is_wrong_is_an_error_at_its_line(said):
    found = [re.match(r"wrong\.py:(\d+): error: .*\[([\w-]+)\]$", line) for line in said]
    errors = [(int(match[1]), match[2]) for match in found if match is not None]
    lines = enumerate(WRONG.splitlines(), 1)
    expected = [(number, line.rpartition("  # ")[2]) for number, line in lines if "  # " in line]
    assert errors == expected
