"""GetStory: what the pool's machine has recorded of a trial or a worker."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from sparkopt.control import messages
from sparkopt.control.book import Book
from sparkopt.control.read_only_calls import ReadOnlyCalls
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.core.states import TrialKey
from sparkopt.errors import BadRequestError, NotFoundError
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.coordinator import Coordinator

_LINES: Final = 1000
"""Most lines of an answer. A line has a few thousand characters at most, and hardly ever more than 200."""

_BYTES: Final = 2 * 1024 * 1024
"""Most bytes of its lines: gRPC's usual 4 MiB hold any answer."""

_DRIFT_SECONDS: Final = 0.01
"""Difference between the machine's clock and the wall's that is no more than the time between two looks."""


class StoryCall:
    """Stories of trials and workers, as clients ask for them. On the coordinator's loop only.

    Args:
        coordinator: has the machine that keeps the story, and the clock of its times.
        book: knows which trials and workers there are.
        looking: finds the study that a request means.
        time_slices: for putting it into words, which may take long.
    """

    def __init__(
        self, coordinator: Coordinator, book: Book, looking: ReadOnlyCalls, time_slices: TimeSlices
    ) -> None:
        self._coordinator = coordinator
        self._book = book
        self._looking = looking
        self._time_slices = time_slices
        self._epoch = 0.0

    async def story(self, request: control_pb2.GetStoryRequest) -> control_pb2.Story:
        """The last lines about a trial or a worker.

        Raises:
            BadRequestError: if the request names neither, or a study with a worker.
            NotFoundError: if there is no such study, trial or worker.
            WrongStateError: if no study is named and there are several.
        """
        story, about = self._subject(request)
        async with self._time_slices.begin() as time_slice:
            # One look at each of a few thousand lines, which takes less than a time slice may.
            followed = self._coordinator.machine.follow(about)
            if isinstance(about, str) and not followed.lines and about not in self._book.workers:
                raise NotFoundError(
                    f"there is no worker {about[:200]!r} in this pool, and none of that name is remembered",
                    "NO_WORKER",
                )
            epoch = self._reckoned_epoch()
            if followed.since is not None:
                messages.set_timestamp(story.since, epoch + followed.since)
            newest_first: list[control_pb2.StoryLine] = []
            taken = 0
            for line in reversed(followed.lines):
                message = control_pb2.StoryLine(text=line.text, command=line.is_command)
                messages.set_timestamp(message.time, epoch + line.now)
                taken += message.ByteSize()
                if len(newest_first) == _LINES or taken > _BYTES:
                    break
                newest_first.append(message)
                await time_slice.breathe()
            story.lines.extend(reversed(newest_first))
            story.left_out = len(followed.lines) - len(newest_first)
        return story

    def _reckoned_epoch(self) -> float:
        """The time, since the epoch, at which the machine's clock began if it has never stood still.

        It is the same from call to call, as long as the clocks agree, and so are the times of lines.
        """
        epoch = time.time() - self._coordinator.now()
        if abs(epoch - self._epoch) > _DRIFT_SECONDS:
            self._epoch = epoch
        return self._epoch

    def _subject(self, request: control_pb2.GetStoryRequest) -> tuple[control_pb2.Story, TrialKey | str]:
        """An answer without its lines, and what it is about."""
        named = request.WhichOneof("about")
        if named == "tid":
            study = self._looking.study(request.study)
            trial = study.by_tid.get(request.tid)
            if trial is None:
                raise NotFoundError(f"{study.name} has no trial {request.tid}", "NO_TRIAL")
            return control_pb2.Story(study=study.name, tid=trial.tid), trial.key
        if named is None or request.study:
            raise BadRequestError(
                "a story is that of a trial, by its tid, or of a worker, by its name and without a study",
                "BAD_SUBJECT",
                "about",
            )
        return control_pb2.Story(worker=request.worker), request.worker
