"""The coordinators' rig with a control service, studies that are evaluated from outside, and clients."""

from __future__ import annotations

import concurrent.futures
import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle

from sparkopt.control import Control, ControlServer
from sparkopt.control.evaluation import Evaluation, EvaluationSpec
from sparkopt.control.feed import KEPT, Feed
from sparkopt.coordinator import ObjectiveSpec
from sparkopt.hyperopt.result_convention import CONVENTION
from sparkopt.wire import codec
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.worker.outside import OutsideObjective
from tests.control.control_clients import Client, Stream
from tests.coordinator.rig import SECONDS, Peer, Rig


class ControlledRig(Rig):
    """A rig that is open to control."""

    def __init__(self, directory: Path, kept: int = KEPT, **settings: Any) -> None:
        self.server = ControlServer(Control())
        self.server.feed = Feed(kept)
        super().__init__(directory, observer=self.server, **settings)
        self._evaluations = (f"evaluation-{number}" for number in itertools.count())
        self._clients: list[Client] = []
        self.client = self.new_client()
        self.call, self.refusal, self.watch = self.client.call, self.client.refusal, self.client.watch

    def on_loop(self, action: Callable[[], Any]) -> Any:
        """Do something in the coordinator's thread, and return what came of it."""
        future: concurrent.futures.Future[Any] = concurrent.futures.Future()

        def act() -> None:
            try:
                future.set_result(action())
            except BaseException as error:
                future.set_exception(error)

        assert self.coordinator.post(act)
        return future.result(SECONDS)

    def until(self, holds: Callable[[], bool]) -> None:
        """Have the coordinator's thread look until something holds there, between whatever else it does."""
        deadline = time.monotonic() + SECONDS
        while not self.on_loop(holds):
            assert time.monotonic() < deadline, "it does not come to hold"

    def joined_peer(self, slot: int = 0) -> Peer:
        """A worker played by the test, which has joined."""
        peer = self.peer()
        peer.hello(slot)
        peer.hear("welcome")
        return peer

    # Studies that are evaluated from outside.

    def evaluation(
        self,
        objective: Callable[[Any], Any],
        argument: Callable[[Any], bytes] = codec.dumps,
        max_attempts: int = 3,
        trial_timeout: float | None = None,
    ) -> Evaluation:
        """Have an objective evaluated from outside."""
        data = cloudpickle.dumps(OutsideObjective(objective, CONVENTION))
        what = EvaluationSpec(ObjectiveSpec(data, max_attempts, trial_timeout), argument)
        return Evaluation(self.coordinator, self.server, next(self._evaluations), what)

    def studied(self, evaluation: Evaluation):
        """The coordinator's end of an evaluation."""
        return self.on_loop(lambda: self.server.evaluations.get(evaluation.name))

    # Clients.

    def new_client(self, options: list[tuple[str, int]] | None = None) -> Client:
        """A client on a connection of its own."""
        self._clients.append(Client(self.server.address, self.server.token, options))
        return self._clients[-1]

    def stream(self, study: str = "") -> Stream:
        """A stream to Evaluate, on a connection of its own."""
        return self.new_client().evaluate(study)

    def all_trials(self, **fields: Any) -> Iterator[pb.Trial]:
        """Every trial that ListTrials lists, page by page."""
        token = ""
        while True:
            page = self.call("ListTrials", page_token=token, **fields)
            yield from page.trials
            if not (token := page.next_page_token):
                return

    def close(self) -> None:
        try:
            super().close()
        finally:
            for client in self._clients:
                client.close()
