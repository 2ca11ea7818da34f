"""Calls of the control service that change a pool: its limits, trials, studies, workers.

What a search has to do itself, in its own thread, is handed to it through its channel; everything else is an
event for the machine.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from sparkopt.control import messages
from sparkopt.control.book import Book
from sparkopt.control.book_records import StudyRecord
from sparkopt.control.evaluations import Evaluations
from sparkopt.control.read_only_calls import ReadOnlyCalls
from sparkopt.control.submissions import Submission
from sparkopt.coordinator import Points, StudyChannel
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.core import events
from sparkopt.errors import BadRequestError, NotFoundError, SparkoptError, WrongStateError
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.coordinator import Coordinator

_REASON_CHARACTERS: Final = 1000


class SteeringCalls:
    """Calls that change a pool. On the coordinator's loop only.

    Args:
        coordinator: of the pool to steer.
        book: what there is in it.
        looking: finds what a request means.
        evaluations: the studies that are evaluated from outside.
        time_slices: for points, which may be many.
    """

    def __init__(
        self,
        coordinator: Coordinator,
        book: Book,
        looking: ReadOnlyCalls,
        evaluations: Evaluations,
        time_slices: TimeSlices,
    ) -> None:
        self._coordinator = coordinator
        self._book = book
        self._looking = looking
        self._evaluations = evaluations
        self._time_slices = time_slices

    def pause(self) -> None:
        """Lease nothing more."""
        self._coordinator.step(events.Paused())

    def resume(self) -> None:
        """Lease again."""
        self._coordinator.step(events.Resumed())

    def set_parallelism(self, parallelism: int) -> None:
        """Change how many trials may run at once.

        Raises:
            BadRequestError: if it is less than 1, or more than the pool can run.
        """
        most = self._book.max_parallelism
        if not 1 <= parallelism <= most:
            raise BadRequestError(
                f"parallelism must be 1 to {most}, which is what the pool was opened with, got {parallelism}",
                "BAD_PARALLELISM",
                "parallelism",
            )
        self._coordinator.step(events.LimitChanged(parallelism))

    def cancel_trial(self, name: str, tid: int, reason: str, prune: bool) -> control_pb2.Trial:
        """End one trial, or have it stop as pruned.

        Raises:
            BadRequestError: if the reason is too long.
            NotFoundError: if there is no such study or trial.
            WrongStateError: if no study is named and there are several.
        """
        if len(reason) > _REASON_CHARACTERS:
            raise BadRequestError(
                f"reason may have {_REASON_CHARACTERS:,} characters, and this one has {len(reason):,}",
                "BAD_REASON",
                "reason",
            )
        study = self._looking.study(name)
        trial = study.by_tid.get(tid)
        if trial is None:
            raise NotFoundError(f"{study.name} has no trial {tid}", "NO_TRIAL")
        why = reason or f"it was {'pruned' if prune else 'cancelled'} over the control service"
        request = events.PruneRequested if prune else events.CancelRequested
        self._coordinator.step(request(study.name, tid, why))
        return messages.trial_of(self._book, trial)

    def stop_study(self, name: str, finish_running: bool) -> control_pb2.Study:
        """End a study.

        Raises:
            NotFoundError: if there is no such study.
            WrongStateError: if none is named and there are several.
        """
        study = self._looking.study(name)
        evaluated = self._evaluations.get(study.name)
        if evaluated is not None:
            evaluated.stop(finish_running)
        else:
            search = self._search(study)
            if search is not None:
                search.put_stop(finish_running)
                # At once, though its thread may be in its algorithm.
                why = "the study was stopped"
                if finish_running:
                    self._coordinator.cancel_waiting(study.name, why)
                else:
                    self._coordinator.step(events.CancelRequested(study.name, None, why))
        return messages.study_of(self._book, study)

    def drain_worker(self, name: str) -> control_pb2.Worker:
        """Give a worker nothing more.

        Raises:
            NotFoundError: if there is no worker of that name.
        """
        worker = self._book.workers.get(name)
        if worker is None:
            raise NotFoundError(f"there is no worker {name[:200]!r} in this pool", "NO_WORKER")
        self._coordinator.step(events.DrainRequested(name, "it was drained over the control service"))
        return messages.worker_of(self._book, worker)

    async def submit_trials(self, request: bytes) -> Sequence[int]:
        """Have a search evaluate points next, and wait until it has recorded them.

        Args:
            request: a SubmitTrialsRequest.

        Returns:
            The ids of their trials.

        Raises:
            BadRequestError: if one is not a point of the space, or there are none or too many.
            NotFoundError: if there is no such study.
            WrongStateError: if none is named and there are several, or it is not a search, or ends.
        """
        submission = await Submission.read(request, self._time_slices)
        study = self._looking.study(submission.study)
        if not study.is_search:
            raise WrongStateError(
                f"{study.name} is evaluated from outside: ask for points with Evaluate (`sparkopt evaluate`)",
                "NOT_A_SEARCH",
            )
        values = await submission.values(self._time_slices)
        search = self._search(study)
        if search is None:
            raise WrongStateError(f"{study.name} has ended", "STUDY_ENDED")
        future: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()

        def take(answer: Sequence[int] | SparkoptError) -> None:
            if future.done():  # the client has gone
                return
            if isinstance(answer, SparkoptError):
                future.set_exception(answer)
            else:
                future.set_result(answer)

        def answered(answer: Sequence[int] | SparkoptError) -> None:
            self._coordinator.post(lambda: take(answer))

        search.put_points(Points(values, answered))
        return await future

    def _search(self, study: StudyRecord) -> StudyChannel | None:
        """The way to a search; None if it has ended."""
        end = self._coordinator.studies.subscriber_of(study.name)
        return end if isinstance(end, StudyChannel) else None
