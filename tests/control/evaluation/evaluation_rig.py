"""The coordinators' rig with a control service, studies evaluated from outside, and their clients."""

from __future__ import annotations

import concurrent.futures
import itertools
import json
import queue
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import grpc
from coordinator.rig import Rig
from post import SECONDS

from sparkopt.control import Control, ControlServer
from sparkopt.evaluation import Evaluation, Prepared
from sparkopt.wire import codec
from sparkopt.wire.limits import channel_options
from sparkopt.wire.statuses import control_error_of
from sparkopt.wire.tokens import bearer
from sparkopt.wire.v1 import control_pb2, control_pb2_grpc
from sparkopt.worker.outside import OutsideObjective

MIB = 2**20


class EvaluationRig(Rig):
    """A rig that is open to control."""

    def __init__(self, directory: Path, **settings: Any) -> None:
        self.server = ControlServer(Control())
        super().__init__(directory, observer=self.server, **settings)
        self._control_channels: list[grpc.Channel] = []
        self._client_streams: list[Stream] = []
        self._evaluations = (f"evaluation-{number}" for number in itertools.count())

    def evaluation(
        self,
        objective: Callable[[Any], Any],
        argument: Callable[[Any], bytes] = codec.dumps,
        max_attempts: int = 3,
        trial_timeout: float | None = None,
    ) -> Evaluation:
        """Have an objective evaluated from outside."""
        data = cloudpickle.dumps(OutsideObjective(objective))
        what = Prepared(data, argument, trial_timeout, max_attempts)
        return Evaluation(self.coordinator, self.server, next(self._evaluations), what)

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

    def studied(self, evaluation: Evaluation):
        """The coordinator's end of an evaluation."""
        return self.on_loop(lambda: self.server.evaluations.get(evaluation.name))

    def channel_to_control(self, options: list[tuple[str, int]] | None = None) -> grpc.Channel:
        """A client's channel, a connection of its own."""
        options = [*channel_options(), ("grpc.use_local_subchannel_pool", 1), *(options or [])]
        channel = grpc.insecure_channel(self.server.address, options)
        self._control_channels.append(channel)
        return channel

    def stream(self, **settings: Any) -> Stream:
        """A stream to Evaluate, on a connection of its own."""
        stream = Stream(self.channel_to_control(), self.server.token, **settings)
        self._client_streams.append(stream)
        return stream

    def close(self) -> None:
        try:
            super().close()
        finally:
            for stream in self._client_streams:
                stream.cut()
            for channel in self._control_channels:
                channel.close()


class Stream:
    """A client's stream: says points, and hears what became of them."""

    def __init__(self, channel: grpc.Channel, token: str, study: str = "") -> None:
        self._said: queue.SimpleQueue[control_pb2.EvaluateRequest | None] = queue.SimpleQueue()
        self._study = study
        self.taken = 0
        stub = control_pb2_grpc.ControlServiceStub(channel)
        self.call = stub.Evaluate(self._requests(), metadata=bearer(token), timeout=4 * SECONDS)

    def _requests(self) -> Iterator[control_pb2.EvaluateRequest]:
        while (request := self._said.get()) is not None:
            self.taken += 1
            yield request

    def send(self, request: control_pb2.EvaluateRequest) -> None:
        """Say anything."""
        self._said.put(request)

    def ask(self, name: str, point: Any = None, **values: Any) -> None:
        """Ask for a point, by its values or as a message."""
        point = point or control_pb2.Point(json=json.dumps(values))
        self.send(control_pb2.EvaluateRequest(id=name, point=point, study=self._study))

    def hear(self) -> control_pb2.EvaluateResponse:
        """The next answer."""
        return next(self.call)

    def outcome(self) -> control_pb2.Evaluation:
        """The next answer, which has to be an evaluation."""
        answer = self.hear()
        assert answer.HasField("evaluation"), answer
        assert answer.id == answer.evaluation.trial.request_id
        return answer.evaluation

    def rejection(self) -> tuple[str, str]:
        """The next answer, which has to be a rejection: its id and its reason."""
        answer = self.hear()
        assert answer.HasField("rejected"), answer
        assert answer.rejected.message
        return answer.id, answer.rejected.reason

    def results(self, number: int) -> dict[str, Any]:
        """The next so many results, by their ids."""
        return {
            outcome.trial.request_id: json.loads(outcome.result)
            for outcome in (self.outcome() for _ in range(number))
        }

    def finish(self) -> None:
        """Say no more."""
        self._said.put(None)

    def ends_well(self) -> bool:
        """Whether the stream ends with OK, and without another answer."""
        return list(self.call) == [] and self.call.code() is grpc.StatusCode.OK

    def error(self) -> grpc.RpcError:
        """What the stream ends with, without another answer."""
        try:
            answer = next(self.call)
        except grpc.RpcError as error:
            return error
        except StopIteration:
            raise AssertionError("the stream ended well") from None
        raise AssertionError(f"the stream goes on: {answer}")

    def cut(self) -> None:
        """Be gone, as far as the server knows."""
        self._said.put(None)
        self.call.cancel()


def reason_of(error: grpc.RpcError) -> tuple[grpc.StatusCode, str]:
    """What a stream has ended with: its status, and the service's reason."""
    return error.code(), control_error_of(error).reason
