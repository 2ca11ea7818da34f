"""ControlService: calls to what they ask for; see control.proto."""

from __future__ import annotations

from sparkopt.control.evaluate_call import Requests, evaluate
from sparkopt.control.evaluations import Evaluations
from sparkopt.control.read_only_calls import ReadOnlyCalls
from sparkopt.control.steering_calls import SteeringCalls
from sparkopt.control.story_call import StoryCall
from sparkopt.wire.statuses import Context, answering
from sparkopt.wire.v1 import control_pb2 as pb
from sparkopt.wire.v1 import control_pb2_grpc


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
        """What the pool and its studies are doing."""
        async with answering(context):
            return self._looking.status()

    async def ListTrials(self, request: pb.ListTrialsRequest, context: Context) -> pb.ListTrialsResponse:
        """A page of trials."""
        async with answering(context):
            return await self._looking.trials(request)

    async def ListWorkers(self, request: pb.ListWorkersRequest, context: Context) -> pb.ListWorkersResponse:
        """The workers that are there."""
        async with answering(context):
            return self._looking.workers()

    async def WatchEvents(  # type: ignore[override]  # it writes to its context rather than yield
        self, request: pb.WatchEventsRequest, context: Context
    ) -> None:
        """What happens, as it happens."""
        async with answering(context):
            await self._looking.watch(request, context)

    async def GetStory(self, request: pb.GetStoryRequest, context: Context) -> pb.Story:
        """Tell what the pool has recorded of a trial or a worker."""
        async with answering(context):
            return await self._stories.story(request)

    # Steering.

    async def Pause(self, request: pb.PauseRequest, context: Context) -> pb.PoolStatus:
        """Lease nothing more until Resume."""
        async with answering(context):
            self._steering.pause()
            return self._looking.status()

    async def Resume(self, request: pb.ResumeRequest, context: Context) -> pb.PoolStatus:
        """Lease again."""
        async with answering(context):
            self._steering.resume()
            return self._looking.status()

    async def SetParallelism(self, request: pb.SetParallelismRequest, context: Context) -> pb.PoolStatus:
        """Change how many trials may run at once."""
        async with answering(context):
            self._steering.set_parallelism(request.parallelism)
            return self._looking.status()

    async def CancelTrial(self, request: pb.CancelTrialRequest, context: Context) -> pb.Trial:
        """End one trial."""
        async with answering(context):
            return self._steering.cancel_trial(request.study, request.tid, request.reason)

    async def StopStudy(self, request: pb.StopStudyRequest, context: Context) -> pb.Study:
        """End a study."""
        async with answering(context):
            return self._steering.stop_study(request.study, request.finish_running)

    async def DrainWorker(self, request: pb.DrainWorkerRequest, context: Context) -> pb.Worker:
        """Give a worker nothing more."""
        async with answering(context):
            return self._steering.drain_worker(request.worker)

    async def SubmitTrials(  # type: ignore[override]  # its request is read piece by piece
        self, request: bytes, context: Context
    ) -> pb.SubmitTrialsResponse:
        """Have a search evaluate points next."""
        async with answering(context):
            return pb.SubmitTrialsResponse(tids=await self._steering.submit_trials(request))

    # Evaluating.

    async def Evaluate(  # type: ignore[override]  # it writes to its context rather than yield
        self, requests: Requests, context: Context
    ) -> None:
        """Take points in, and send their outcomes out, in the order in which they complete."""
        async with answering(context):
            await evaluate(self._evaluations, requests, context)
