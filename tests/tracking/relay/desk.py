"""The driver's side of a search whose objectives log: a real store, a run for each trial, and a relay."""

from __future__ import annotations

import queue
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from mlflow import MlflowClient
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from sparkopt.coordinator import StudyChannel
from sparkopt.core.states import Outcome
from sparkopt.tracking.relay import Relay
from sparkopt.wire import codec
from sparkopt.wire.lanes import Lane

NAME = "the search"
SECONDS = 60.0


class Desk:
    """Answers a study's requests in a thread of its own, as a tracker does.

    Args:
        uri: of the tracking store.
        artifacts: where the experiment's artifacts go.
        name: of the experiment.
    """

    def __init__(self, uri: str, artifacts: Path, name: str = NAME) -> None:
        self.client = MlflowClient(uri)
        self.experiment = self.client.create_experiment(name, artifacts.as_uri())
        self.main = self.client.create_run(self.experiment, tags={"mlflow.user": "ann"}).info.run_id
        self.relay = Relay(self.client, self.experiment, self.run_of)
        self.runs: dict[int, str] = {}
        self.methods: list[tuple[int, str]] = []
        self._requests: queue.SimpleQueue = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run_of(self, tid: int) -> str:
        """The run of a trial, made when it is first asked for."""
        if tid not in self.runs:
            tags = {"mlflow.parentRunId": self.main, "mlflow.user": "ann", "tid": str(tid)}
            self.runs[tid] = self.client.create_run(self.experiment, tags=tags).info.run_id
        return self.runs[tid]

    def serve(self, channel: StudyChannel) -> None:
        """Take the study's requests from now on."""
        channel.register(Lane.MLFLOW, self._requests.put)
        self._thread = threading.Thread(target=self._run, args=[channel], name="desk")
        self._thread.start()

    def _run(self, channel: StudyChannel) -> None:
        while (request := self._requests.get()) is not None:
            self.methods.append((request.tid, request.method))
            channel.reply(request, self.relay.answer(request))

    def run(self, tid: int):
        """A trial's run, with what it has by now."""
        return self.client.get_run(self.runs[tid])

    def children(self, run_id: str) -> list:
        """The runs directly below a run."""
        return self.client.search_runs([self.experiment], f"tags.`mlflow.parentRunId` = '{run_id}'")

    def files(self, run_id: str, path: str | None = None) -> list[str]:
        """The files among a run's artifacts, with their paths."""
        found = []
        for each in self._artifacts(run_id).list_artifacts(path):
            found += self.files(run_id, each.path) if each.is_dir else [each.path]
        return sorted(found)

    def content(self, run_id: str, path: str, directory: Path) -> bytes:
        """What is in such a file."""
        return Path(self._artifacts(run_id).download_artifacts(path, str(directory))).read_bytes()

    def _artifacts(self, run_id: str):
        # By their place: the client of MLflow 3.0 looks for some of them in the current store.
        return get_artifact_repository(self.client.get_run(run_id).info.artifact_uri)

    def leave(self) -> None:
        """Answer nobody any more."""
        self._requests.put(None)
        if self._thread is not None:
            self._thread.join()

    def close(self) -> None:
        self.relay.close()


@dataclass
class Done:
    """What became of a trial."""

    name: str
    tid: int
    outcome: Outcome
    value: object
    said: str


class Logging:
    """A study whose objective does deeds, one after the other, and the desk that its requests go to."""

    def __init__(self, channel: StudyChannel, desk: Desk) -> None:
        self._channel = channel
        self.desk = desk
        self.done: list[Done] = []
        desk.serve(channel)

    def do(self, name: str, argument: object = None) -> Done:
        """Run a trial."""
        tid = len(self.done)
        self._channel.submit([(tid, codec.dumps((name, argument)))])
        settled = self._channel.next_settled(time.monotonic() + SECONDS)
        assert settled is not None, name
        value = settled.result.load() if settled.result is not None else None
        said = settled.failure.traceback if settled.failure is not None else settled.reason
        self.done.append(Done(name, tid, settled.outcome, value, said))
        return self.done[-1]

    def of(self, name: str) -> Done:
        """The one trial with this deed."""
        (done,) = (each for each in self.done if each.name == name)
        assert done.outcome is not Outcome.LOST, done.said
        return done

    def close(self) -> None:
        self._channel.close()
        self.desk.leave()
