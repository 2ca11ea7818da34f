"""ControlService: calls to what they ask for; see control.proto."""

from __future__ import annotations

from typing import Any, Final

from sparkopt.control.evaluate_call import Requests, evaluate
from sparkopt.control.evaluations import Evaluations
from sparkopt.control.read_only_calls import ReadOnlyCalls
from sparkopt.control.steering_calls import SteeringCalls
from sparkopt.control.story_call import StoryCall
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.statuses import Context, answering
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import control_pb2_grpc

LOG: Final = ActorLog("control")


class ControlService(control_pb2_grpc.ControlServiceServicer):
    """The calls of a scheduler.

    Args:
        looking: answers who only looks.
        stories: tells what happened to a trial or a worker.
        steering: does what is asked for.
        evaluations: the studies that are evaluated from outside.
    """

    def __init__(
        self,
        looking: ReadOnlyCalls,
        stories: StoryCall,
        steering: SteeringCalls,
        evaluations: Evaluations,
    ) -> None:
        self._looking = looking
        self._stories = stories
        self._steering = steering
        self._evaluations = evaluations

    # Watching.

    async def GetStatus(self, request: pb.GetStatusRequest, context: Context) -> pb.PoolStatus:
        """Status of the pool and its studies."""
        async with answering(context, LOG):
            return self._looking.status()

    async def ListTrials(self, request: pb.ListTrialsRequest, context: Context) -> pb.ListTrialsResponse:
        """A page of trials."""
        async with answering(context, LOG):
            return await self._looking.trials(request)

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        """The workers that are there."""
        async with answering(context, LOG):
            return self._looking.workers()

    async def WatchEvents(  # type: ignore[override]  # it writes to its context rather than yield
        self, request: pb.WatchEventsRequest, context: Context
    ) -> None:
        """Events, as they happen."""
        async with answering(context, LOG):
            await self._looking.watch(request, context)

    async def GetStory(self, request: pb.GetStoryRequest, context: Context) -> pb.Story:
        """Tell what the pool has recorded of a trial or a worker."""
        async with answering(context, LOG):
            return await self._stories.story(request)

    async def GetSpace(self, request: pb.GetSpaceRequest, context: Context) -> pb.Space:
        """Tell the hyperparameters of a study."""
        async with answering(context, LOG):
            return self._looking.space(request.study)

    # Steering.

    async def Pause(self, request: pb.PauseRequest, context: Context) -> pb.PoolStatus:
        """Lease nothing more until Resume."""
        async with answering(context, LOG):
            self._steering.pause()
            _log_steering(context, "Pause")
            return self._looking.status()

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.PoolStatus:
        """Lease again."""
        async with answering(context, LOG):
            self._steering.resume()
            _log_steering(context, "Resume")
            return self._looking.status()

    async def SetParallelism(self, request: pb.SetParallelismRequest, context: Context) -> pb.PoolStatus:
        """Change how many trials may run at once."""
        async with answering(context, LOG):
            self._steering.set_parallelism(request.parallelism)
            _log_steering(context, "SetParallelism", parallelism=request.parallelism)
            return self._looking.status()

    async def CancelTrial(self, request: pb.CancelTrialRequest, context: Context) -> pb.Trial:
        """End one trial."""
        async with answering(context, LOG):
            tid, reason, prune = request.tid, request.reason, request.prune
            trial = self._steering.cancel_trial(request.study, tid, reason, prune)
            _log_steering(context, "CancelTrial", study=trial.study, trial=tid, reason=reason, prune=prune)
            return trial

    async def StopStudy(self, request: pb.StopStudyRequest, context: Context) -> pb.Study:
        """End a study."""
        async with answering(context, LOG):
            study = self._steering.stop_study(request.study, request.finish_running)
            _log_steering(context, "StopStudy", study=study.name, finish_running=request.finish_running)
            return study

    async def DrainWorker(self, request: pb.DrainWorkerRequest, context: Context) -> pb.Worker:
        """Give a worker nothing more."""
        async with answering(context, LOG):
            worker = self._steering.drain_worker(request.worker)
            _log_steering(context, "DrainWorker", worker=worker.name)
            return worker

    async def SubmitTrials(  # type: ignore[override]  # its request is read piece by piece
        self, request: bytes, context: Context
    ) -> pb.SubmitTrialsResponse:
        """Have a search evaluate points next."""
        async with answering(context, LOG):
            tids = await self._steering.submit_trials(request)
            _log_steering(context, "SubmitTrials", trials=len(tids))
            return pb.SubmitTrialsResponse(tids=tids)

    # Evaluating.

    async def Evaluate(  # type: ignore[override]  # it writes to its context rather than yield
        self, requests: Requests, context: Context
    ) -> None:
        """Take points in, and send their outcomes out, in the order in which they complete."""
        async with answering(context, LOG):
            await evaluate(self._evaluations, requests, context)


def _log_steering(context: Context, call: str, **values: Any) -> None:
    LOG.info("pool steered", call=call, peer=context.peer(), **values)
