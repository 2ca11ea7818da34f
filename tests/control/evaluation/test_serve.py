"""``sparkopt serve``, as a process of its own: how it begins, what it says, and how it ends."""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import signal
import socket
import stat
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import psutil
import pytest

from sparkopt import ControlClient
from sparkopt.cli import objective_server as serve
from sparkopt.client import EventKind
from sparkopt.errors import RefusedError
from sparkopt.wire.v1 import control_pb2
from tests.control.control_clients import Client, Stream
from tests.support.cluster import Cluster
from tests.support.post import SECONDS, Post

START_SECONDS = 120

MODULE = """
    import json, socket
    from hyperopt import hp
    from helper import doubled

    space = {"x": hp.uniform("x", 0, 1), "kind": hp.choice("kind", ["a", "b"])}

    def double(point):
        return doubled(point["x"])

    def name(point):
        return point["kind"]

    def meet(point):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(point["post"])
            said = {"word": point["word"], "pid": 0, "parent": 0}
            sock.sendall(json.dumps(said).encode() + b"\\n")
            return sock.recv(100).decode()
"""


class Served:
    """A process that serves, from the directory that it was started in."""

    def __init__(self, directory: Path, *arguments: str, **environment: str) -> None:
        environment = {**os.environ, "SPARK_LOCAL_IP": "127.0.0.1", **environment}
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "sparkopt", "serve", *arguments],
            cwd=directory,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._directory = directory
        self._clients: list[Client] = []

    def says(self, text: str) -> None:
        """Wait until it has said something."""
        deadline = time.monotonic() + START_SECONDS
        while text not in self.said:
            left = deadline - time.monotonic()
            assert select.select([self.process.stdout], [], [], max(0.0, left))[0], "it says nothing"
            chunk = os.read(self.process.stdout.fileno(), 4096).decode()
            assert chunk, self.said + self.process.stderr.read()
            self.said += chunk

    @property
    def token(self) -> str:
        return (self._directory / "sparkopt.token").read_text().strip()

    def client(self) -> Client:
        self.says("Ready for points")
        (address,) = re.findall(r"Listening at (\S+),", self.said)
        self._clients.append(Client(address, self.token))
        return self._clients[-1]

    def stream(self) -> Stream:
        return self.client().evaluate()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def ends(self) -> tuple[int, str, str]:
        """Its exit code and everything that it has said, once it and its Java have ended."""
        children = psutil.Process(self.process.pid).children(recursive=True)
        out, err = self.process.communicate(timeout=START_SECONDS)
        _, alive = psutil.wait_procs(children, timeout=SECONDS)
        assert alive == []
        return self.process.returncode, self.said + out, err

    def close(self) -> None:
        for client in self._clients:
            client.close()
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.communicate(timeout=SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.communicate()


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "train.py").write_text(textwrap.dedent(MODULE))
    (tmp_path / "helper.py").write_text("def doubled(x):\n    return 2 * x\n")
    return tmp_path


@pytest.fixture
def start(directory: Path) -> Iterator[Any]:
    """Starts processes that serve."""
    with contextlib.ExitStack() as stack:

        def start(*arguments: str, **environment: str) -> Served:
            served = Served(directory, *arguments, **environment)
            stack.callback(served.close)
            return served

        yield start


@pytest.fixture
def post(tmp_path: Path) -> Iterator[Post]:
    post = Post(tmp_path / "post")
    yield post
    post.close()


def test_it_serves_points_and_a_signal_lets_what_runs_finish(start, directory, post):
    served = start("train:meet", "--listen", "127.0.0.1:0", "--master", "local[2]")
    stream = served.stream()
    stream.ask("a", post=post.path, word="a")
    stream.ask("b", post=post.path, word="b")
    visits = post.visits(2)
    served.signal(signal.SIGTERM)
    served.says("SIGTERM: running trials get 30 s")
    late = served.stream()
    late.ask("c", post=post.path, word="c")
    assert late.error().code() is grpc.StatusCode.ABORTED
    for word, visit in visits.items():
        visit.answer(f"{word} done")
    assert stream.results(2) == {"a": "a done", "b": "b done"}
    assert stream.error().code() is grpc.StatusCode.ABORTED
    code, out, err = served.ends()
    assert (code, out.splitlines()[-1]) == (0, "Ended."), err
    file = directory / "sparkopt.token"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert served.token not in out + err
    assert "sparkopt status --address 127.0.0.1:" in out
    assert "--token-file sparkopt.token" in out


@pytest.mark.slow  # a session of its own
def test_a_second_signal_cancels_what_runs(start, directory, post):
    (directory / "sparkopt.token").write_text("a-token-of-our-own\n")
    (directory / "sparkopt.token").chmod(0o600)
    served = start(
        *("train:meet", "--listen", "127.0.0.1:0", "--master", "local[1]", "--grace", "10000"),
    )
    stream = served.stream()
    assert served.token == "a-token-of-our-own"
    stream.ask("a", post=post.path, word="a")
    visit = post.visit()
    served.signal(signal.SIGINT)
    served.says("SIGINT: running trials get 10000 s")
    served.signal(signal.SIGINT)
    assert stream.outcome().trial.state == control_pb2.TRIAL_STATE_CANCELLED
    visit.wait_for_the_end()
    code, out, err = served.ends()
    assert (code, "running trials are cancelled" in out) == (0, True), err


def test_points_of_a_space_and_a_client_that_stops_the_study(start):
    served = start(
        *("train:name", "--space", "train:space", "--master", "local[1]", "--listen", "127.0.0.1:0"),
        *("--trial-timeout", "60", "--max-attempts", "1", "--grace", "0", "--parallelism", "1"),
    )
    stream = served.stream()
    stream.ask("p", x=0.5, kind=1)
    stream.ask("q", x=0.5, kind=7)
    answers = {answer.id: answer for answer in (stream.hear(), stream.hear())}
    assert json.loads(answers["p"].evaluation.result) == "b"
    assert answers["q"].rejected.reason == "BAD_POINT"
    study = served.client().call("StopStudy")
    assert study.kind == control_pb2.STUDY_KIND_EVALUATION
    assert stream.error().code() is grpc.StatusCode.ABORTED
    code, out, err = served.ends()
    assert (code, out.splitlines()[-2:]) == (0, ["A client has stopped the study.", "Ended."]), err


@pytest.mark.slow
@pytest.mark.parametrize("package", [False, True], ids=["module", "package"])
def test_on_a_cluster_the_objective_goes_to_executors_that_do_not_have_it(start, directory, package):
    if package:
        (directory / "package").mkdir()
        (directory / "package" / "train.py").write_text("from package.of import double\n")
        (directory / "package" / "of.py").write_text("def double(point):\n    return 2 * point['x']\n")
    else:
        (directory / "alone.py").write_text("def double(point):\n    return 2 * point['x']\n")
    with Cluster(daemons=1) as cluster:
        settings = " ".join(f'--conf "{name}={value}"' for name, value in cluster.settings().items())
        served = start(
            *("package.train:double" if package else "alone:double", "--master", cluster.address),
            *("--listen", "127.0.0.1:0"),
            PYSPARK_SUBMIT_ARGS=f"{settings} pyspark-shell",
        )
        stream = served.stream()
        stream.ask("p", x=4)
        assert stream.results(1) == {"p": 8}
        served.signal(signal.SIGTERM)
        code, _, err = served.ends()
        assert code == 0, err


@pytest.mark.slow
def test_elastic_workers_come_for_points_and_leave_without(start):
    served = start(
        *("train:double", "--master", "local[1]", "--listen", "127.0.0.1:0"),
        *("--elastic", "--idle-seconds", "0.2"),
    )
    stream = served.stream()
    (address,) = re.findall(r"Listening at (\S+),", served.said)
    with ControlClient(address, token=served.token) as client, client.watch(after=0) as events:
        for x in range(2):  # there is no worker before the first point, and none after it
            stream.ask(f"p{x}", x=x)
            assert stream.results(1) == {f"p{x}": 2 * x}
            left = next(event for event in events if event.kind is EventKind.WORKER_LEFT)
            assert client.status().workers == 0, left
    served.signal(signal.SIGTERM)
    code, _, err = served.ends()
    assert code == 0, err


@pytest.mark.slow
def test_when_sparks_java_is_killed_it_ends_with_an_error(start):
    served = start("train:double", "--master", "local[1]", "--listen", "127.0.0.1:0")
    stream = served.stream()
    stream.ask("p", x=2)
    assert stream.results(1) == {"p": 4}
    (java,) = (
        each for each in psutil.Process(served.process.pid).children(recursive=True) if each.name() == "java"
    )
    java.kill()
    code, _, err = served.ends()
    assert code == 1
    assert "Error: the workers are gone" in err.splitlines()[-1], err
    assert "in _serve" not in err, err


def test_a_port_that_is_taken_is_an_error(start):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        served = start("train:double", "--master", "local[1]", "--listen", f"127.0.0.1:{port}")
        code, _, err = served.ends()
    assert code == 1
    assert f"Error: cannot listen at 127.0.0.1:{port}" in err
    assert "Traceback" not in err


def test_a_master_that_does_not_exist_is_an_error(start):
    served = start("train:double", "--master", "nowhere", "--listen", "127.0.0.1:0")
    code, _, err = served.ends()
    assert code == 1
    assert "Spark did not start on nowhere" in err


def test_a_signal_before_it_is_ready_ends_it(start, directory):
    (directory / "slow.py").write_text("import time\nprint('importing', flush=True)\ntime.sleep(1000)\n")
    served = start("slow:objective")
    served.says("importing")
    served.signal(signal.SIGTERM)
    assert served.ends()[0] == 143
    served = start("slow:objective")
    served.says("importing")
    served.signal(signal.SIGINT)
    assert served.ends()[0] == 130


def test_what_cannot_be_served_is_told_in_a_line(start, directory):
    served = start("train:nothing")
    code, out, err = served.ends()
    assert (code, out) == (1, "")
    assert err == f"Error: module train ({directory / 'train.py'}) has no 'nothing'\n"


@pytest.mark.parametrize("reference", ["train", ":double", "train:", ""])
def test_a_reference_needs_two_parts(reference):
    with pytest.raises(RefusedError, match="MODULE:NAME"):
        serve.load(reference, "the objective")


def test_what_a_reference_names(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "package_to_serve").mkdir()
    (tmp_path / "package_to_serve" / "inner.py").write_text("class A:\n    b = 3\n")
    assert serve.load("package_to_serve.inner:A.b", "the objective") == 3
    with pytest.raises(RefusedError, match=r"has no 'A\.c'"):
        serve.load("package_to_serve.inner:A.c", "the objective")
    with pytest.raises(RefusedError, match=r"no module 'package_to_serve\.other'"):
        serve.load("package_to_serve.other:A", "the objective")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import no_such_module_anywhere", "No module named 'no_such_module_anywhere'"),
        ("def f(:", "SyntaxError"),
        ("raise SystemExit(3)", "SystemExit: 3"),
        ("1 / 0", "ZeroDivisionError"),
    ],
)
def test_a_module_that_cannot_be_imported_is_told_with_its_own_traceback(monkeypatch, tmp_path, text, said):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "module_that_fails.py").write_text(f"{text}\n")
    with pytest.raises(RefusedError) as raised:
        serve.load("module_that_fails:f", "the objective")
    assert said in str(raised.value)
    assert "importlib" not in str(raised.value)
    assert "module_that_fails.py" in str(raised.value)
