"""A real MLflow server in a process of its own."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys

import psutil

from tests.support.mlflow_parts import SERVER_PYTHON

SECONDS = 120


class Server:
    """A server on loopback with a database and artifacts in a directory; can be killed and started again."""

    def __init__(self, directory):
        self.directory = directory
        with socket.socket() as finder:
            finder.bind(("127.0.0.1", 0))
            self.port = finder.getsockname()[1]
        self.uri = f"http://127.0.0.1:{self.port}"

    def start(self):
        command = [SERVER_PYTHON or sys.executable, "-m", "mlflow", "server"]
        command += ["--host", "127.0.0.1", "--port", str(self.port)]
        command += ["--backend-store-uri", f"sqlite:///{self.directory}/mlflow.db", "--workers", "1"]
        command += ["--artifacts-destination", str(self.directory / "artifacts")]
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
        reading, writing = os.pipe()
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                stdout=log,
                stderr=log,
                env=environment,
                cwd=self.directory,
                start_new_session=True,
                pass_fds=[writing],
            )
        os.close(writing)
        self._alive = reading
        self._wait_until_it_answers()

    def _wait_until_it_answers(self):
        probe = psutil.Process(self._process.pid)
        for _ in range(10_000):
            assert self._process.poll() is None, (self.directory / "log").read_text()
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=SECONDS)
            try:
                connection.request("GET", "/health")
                assert connection.getresponse().status == 200
                return
            except ConnectionError:
                # Nobody listens yet: until the next change of its children, or a moment.
                psutil.wait_procs([probe], timeout=0.05)
            finally:
                connection.close()
        raise AssertionError("the server did not come up")

    def kill(self):
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait(SECONDS)
        os.read(self._alive, 1)  # the end of all that it forked
        os.close(self._alive)
