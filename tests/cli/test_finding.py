"""Commands find their pool without being given its address."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import cloudpickle
import pytest
from click.testing import CliRunner
from hyperopt import hp, rand

from sparkopt import Control, SparkTrials, WorkerPool, fmin
from sparkopt.cli import main
from sparkopt.cli import objective_server as serve
from sparkopt.errors import ControlWarning
from sparkopt.wire.listing import Listing
from tests.support import driven
from tests.support.certificates import make_certificate
from tests.support.post import SECONDS
from tests.support.processes import started

# pytest imports it by its file's name, which workers cannot.
cloudpickle.register_pickle_by_value(driven)


@pytest.fixture(autouse=True)
def directory(tmp_path, monkeypatch):
    """The directory where open pools are listed: nobody else's are."""
    (tmp_path / "home").mkdir()
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    monkeypatch.chdir(tmp_path)
    for name in ("SPARKOPT_ADDRESS", "SPARKOPT_TOKEN_FILE", "SPARKOPT_CA_CERT"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "home" / ".sparkopt"


def run(*command, code=0):
    """The output of a command, if it ends with this code."""
    result = CliRunner().invoke(main, list(map(str, command)))
    assert result.exit_code == code, result.output
    return result.output


def status(*command):
    return json.loads(run("status", "--json", *command))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.fixture
def listing():
    """Lists pools that nobody has opened, at addresses where nobody answers."""
    made = []

    def make(address, token="the-token"):
        made.append(Listing(address, token, None))

    yield make
    for each in made:
        each.remove()


def test_a_search_on_a_fixed_address_is_watched_without_a_line_of_code(spark, directory, post):
    address = f"127.0.0.1:{free_port()}"
    trials = SparkTrials(parallelism=1, spark_session=spark, control=address)
    path = post.path

    def objective(x):
        driven.meet(path, "run")
        return x

    def search():
        fmin(
            objective,
            hp.uniform("x", 0, 1),
            algo=rand.suggest,
            max_evals=2,
            trials=trials,
            show_progressbar=False,
        )

    searching = threading.Thread(target=search)
    searching.start()
    try:
        visit = post.visit()
        command = [sys.executable, "-m", "sparkopt", "watch", "--json", "--after", "0"]
        with started(command, stdout=subprocess.PIPE, text=True) as watching:
            assert json.loads(watching.stdout.readline())["sequence"] == 1  # it has found it
            (pool,) = (json.loads(line) for line in run("pools", "--json").splitlines())
            assert (pool["address"], pool["pid"]) == (address, os.getpid())
            assert address in run("pools")
            assert stat.S_IMODE(directory.stat().st_mode) == 0o700
            assert stat.S_IMODE(Path(pool["token_file"]).stat().st_mode) == 0o600
            assert status()["trials"]["leased"] == 1
            assert "study1/0" in run("trials", "--state", "leased")
            visit.answer()
            post.visit().answer()
            kinds = [json.loads(line)["kind"] for line in watching.stdout]
            assert watching.wait(SECONDS) == 0
    finally:
        searching.join(SECONDS)
    assert kinds.count("settled") == 2
    assert "study_ended" in kinds
    assert [path.name for path in directory.iterdir()] == []
    assert "SparkTrials(control=True)" in run("status", code=3)


def test_every_interface_needs_no_certificate_to_be_named(spark):
    with WorkerPool(1, spark_session=spark, control="0.0.0.0:0") as pool:
        assert status()["parallelism"] == 1
        assert status("--address", pool.control_address)["parallelism"] == 1
        assert json.loads(run("pools", "--json"))["ca_cert"].endswith(".pem")


def test_a_certificate_of_the_users_own_is_trusted(spark, tmp_path):
    certificate, key = make_certificate(tmp_path)
    control = Control(f"localhost:{free_port()}", tls_cert=certificate, tls_key=key)
    with WorkerPool(1, spark_session=spark, control=control):
        assert status()["parallelism"] == 1


def test_of_several_one_must_be_named(spark, listing):
    listing("127.0.0.1:1")
    with WorkerPool(1, spark_session=spark, control=True) as pool:
        said = run("status", code=2)
        assert "--address 127.0.0.1:1 " in said
        assert f"--address {pool.control_address} " in said
        assert status("--address", pool.control_address)["parallelism"] == 1
        assert len(run("pools", "--json").splitlines()) == 2


def test_who_says_where_it_is_is_believed(spark, listing, monkeypatch, tmp_path):
    listing("127.0.0.1:1", "a-token-of-another-pool")
    listing("127.0.0.1:2", "a-token-of-another-pool")
    token_file = tmp_path / "token"
    control = Control(token_file=token_file, listed=False)
    with WorkerPool(1, spark_session=spark, control=control) as pool:
        assert status("--address", pool.control_address, "--token-file", token_file)["parallelism"] == 1
        monkeypatch.setenv("SPARKOPT_ADDRESS", pool.control_address)
        monkeypatch.setenv("SPARKOPT_TOKEN_FILE", str(token_file))
        assert status()["parallelism"] == 1
        assert "127.0.0.1:3" in run("status", "--address", "127.0.0.1:3", code=3)
        monkeypatch.delenv("SPARKOPT_TOKEN_FILE")
        assert "there is no token file sparkopt.token" in run("status", code=4)
        token_file.rename(tmp_path / "sparkopt.token")
        assert status()["parallelism"] == 1


def test_a_token_that_was_named_is_for_the_pool_that_is_listed(spark, tmp_path):
    control = Control(read_only_token_file=tmp_path / "look")
    with WorkerPool(1, spark_session=spark, control=control):
        assert status("--token-file", tmp_path / "look")["parallelism"] == 1
        run("pause", "--token-file", tmp_path / "look", code=4)


def test_the_token_goes_to_no_other_name_of_the_address(listing):
    listing("127.0.0.1:1")
    for name in ("localhost:1", "127.0.0.2:1", "[::1]:1"):
        assert "there is no token file" in run("status", "--address", name, code=4)


def test_a_pool_that_is_not_to_be_listed_is_not(spark, directory):
    with WorkerPool(1, spark_session=spark, control=Control(listed=False)):
        assert not directory.exists()
        assert run("pools", "--json") == ""
        run("status", code=3)


def test_a_pool_that_is_not_open_to_control_is_not_listed(spark, directory):
    with WorkerPool(1, spark_session=spark):
        assert not directory.exists()
    assert "no pool of yours" in run("pools")


def test_a_pool_that_cannot_be_listed_is_open_all_the_same(spark, directory, tmp_path):
    directory.touch()
    (tmp_path / "temporary" / f"sparkopt-{os.geteuid()}").touch()
    control = Control(token_file=tmp_path / "token")
    with contextlib.ExitStack() as stack:
        with pytest.warns(ControlWarning, match="Not a directory"):
            pool = stack.enter_context(WorkerPool(1, spark_session=spark, control=control))
        where = ["--address", pool.control_address, "--token-file", tmp_path / "token"]
        assert status(*where)["parallelism"] == 1


def test_one_that_listens_for_its_own_machine_is_not_offered_on_another(listing, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "another-machine")
    listing("127.0.0.1:1")
    monkeypatch.setattr(socket, "gethostname", lambda: "this-machine")
    assert "on another-machine" in run("status", code=3)
    assert run("pools", "--json") == ""


@pytest.mark.parametrize(("more", "listed"), [([], True), (["--not-listed"], False)])
def test_a_serve_is_listed_unless_it_is_told_not_to_be(monkeypatch, more, listed):
    asked = []
    monkeypatch.setattr(serve, "run", lambda options, console: asked.append(options))
    run("serve", "train:objective", *more)
    assert asked[0].control.listed is listed


def test_a_serve_is_found(shell, monkeypatch):
    monkeypatch.setenv("HOME", str(shell.served.token_file.parent))
    assert status()["pool"] == shell.json("status")[0]["pool"]
    (pool,) = (json.loads(line) for line in run("pools", "--json").splitlines())
    assert (pool["address"], pool["pid"]) == (shell.served.address, shell.served.process.pid)
    assert Path(pool["token_file"]).read_text() == shell.served.token_file.read_text()
