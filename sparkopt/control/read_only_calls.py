"""Read-only calls of the control service: GetStatus, GetSpace, ListTrials, ListWorkers, WatchEvents."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from sparkopt.control import messages
from sparkopt.control.book import Book
from sparkopt.control.book_records import StudyRecord, TrialRecord
from sparkopt.control.feed import Feed, Watcher, too_slow
from sparkopt.coordinator.transport.time_slices import TimeSlices
from sparkopt.errors import BadRequestError, EventsForgottenError, NotFoundError, WrongStateError
from sparkopt.wire.installed_versions import version_of
from sparkopt.wire.limits import PAGE_BYTES
from sparkopt.wire.statuses import Context
from sparkopt.wire.v1 import control_pb2

if TYPE_CHECKING:
    from sparkopt.core.machine import Machine

_PAGE: Final = 100
_LARGEST_PAGE: Final = 1000

_LOOKED_AT: Final = 100
"""Number of trials that a call examines before it lets other calls run if it has taken long."""

_MOST_STATES: Final = 100
"""Most entries in a request's list of states. There are fewer states, but an entry may be repeated."""

_LEFT_OUT: Final = 1000
"""Most events of other studies that a watch leaves out before it says how far it has come."""


class ReadOnlyCalls:
    """Read-only calls: what there is in a pool, and what happens there.

    Args:
        book: what there is.
        feed: what happens.
        machine: the limits.
        time_slices: for pages, which may be long.
    """

    def __init__(self, book: Book, feed: Feed, machine: Machine, time_slices: TimeSlices) -> None:
        self._book = book
        self._feed = feed
        self._machine = machine
        self._time_slices = time_slices
        self._version = version_of("sparkopt")
        self._secret = secrets.token_bytes(16)

    def status(self) -> control_pb2.PoolStatus:
        """Status of the pool and its studies."""
        return messages.status_of(self._book, self._machine, self._version, self._feed.last)

    def study(self, name: str) -> StudyRecord:
        """The study that a request means.

        Args:
            name: empty for the only study that has not ended.

        Raises:
            NotFoundError: if there is none.
            WrongStateError: if there are several.
        """
        studies = self._book.studies
        if name:
            if name not in studies:
                raise NotFoundError(f"there is no study {name[:200]!r} in this pool", "NO_STUDY")
            return studies[name]
        going_on = [study for study in studies.values() if study.ended is None]
        if not going_on:
            raise NotFoundError("no study is open in this pool", "NO_STUDY")
        if len(going_on) > 1:
            names = ", ".join(study.name for study in going_on)
            raise WrongStateError(f"several studies are open, name one of them: {names}", "STUDY_NOT_NAMED")
        return going_on[0]

    def space(self, name: str) -> control_pb2.Space:
        """Hyperparameters of a study.

        Args:
            name: of the study; empty for the only one that has not ended.

        Raises:
            NotFoundError: if there is no such study.
            WrongStateError: if there are several.
        """
        study = self.study(name)
        return control_pb2.Space(study=study.name) if study.about.space is None else study.about.space

    def workers(self) -> control_pb2.ListWorkersResponse:
        """The workers that are there."""
        found = [messages.worker_of(self._book, worker) for worker in self._book.workers.values()]
        return control_pb2.ListWorkersResponse(workers=found)

    async def trials(self, request: control_pb2.ListTrialsRequest) -> control_pb2.ListTrialsResponse:
        """A page of trials: as many as were asked for, or as fit :data:`~sparkopt.wire.limits.PAGE_BYTES`.

        Raises:
            NotFoundError: if there is no such study.
            BadRequestError: if its token is not one of ours, its size is negative, or its states are too
                many.
        """
        if request.page_size < 0:
            raise BadRequestError(
                f"page_size must not be negative, got {request.page_size}", "BAD_PAGE", "page_size"
            )
        if len(request.states) > _MOST_STATES:
            raise BadRequestError(
                f"states has {len(request.states):,} entries; {_MOST_STATES} are the most, and each state"
                " needs to be named once only",
                "BAD_STATES",
                "states",
            )
        size = min(request.page_size or _PAGE, _LARGEST_PAGE)
        study = self.study(request.study) if request.study else None
        wanted = frozenset(request.states)
        place = self._place(request)
        response = control_pb2.ListTrialsResponse()
        taken = 0
        async with self._time_slices.begin() as time_slice:
            for looked_at, trial in enumerate(self._behind(place, study, wanted), 1):
                if looked_at % _LOOKED_AT == 0:
                    await time_slice.breathe()
                if wanted and messages.STATES[self._book.state_of(trial)] not in wanted:
                    continue
                if len(response.trials) == size or taken > PAGE_BYTES:
                    response.next_page_token = self._token(place, request)
                    break
                message = messages.trial_of(self._book, trial, request.intermediate_values)
                taken += message.ByteSize()
                response.trials.append(message)
                place = trial.place
                await time_slice.breathe()
        return response

    def _behind(
        self, place: int, study: StudyRecord | None, wanted: frozenset[control_pb2.TrialState.ValueType]
    ) -> Iterator[TrialRecord]:
        """The trials after a place that may match."""
        book = self._book
        if wanted and wanted <= messages.UNSETTLED:
            # These are few, however long the history is.
            for trial in book.unsettled():
                if trial.place > place and (study is None or trial.study is study):
                    yield trial
            return
        trials: Sequence[TrialRecord] = book.trials if study is None else study.trials
        # By index: the list may grow while others have their turn.
        index = book.behind(trials, place)
        while index < len(trials):
            yield trials[index]
            index += 1

    def _place(self, request: control_pb2.ListTrialsRequest) -> int:
        """The place after which the page begins."""
        if not request.page_token:
            return -1
        text = request.page_token.partition("-")[0]
        if text.isascii() and text.isdigit() and len(text) < 20:
            place = int(text)
            if hmac.compare_digest(self._token(place, request).encode(), request.page_token.encode()):
                return place
        raise BadRequestError(
            "page_token is not one that this call has given for this study and these states: begin with an"
            " empty one",
            "BAD_PAGE",
            "page_token",
        )

    def _token(self, place: int, request: control_pb2.ListTrialsRequest) -> str:
        about = f"{place} {request.study} {sorted(set(request.states))}".encode()
        return f"{place}-{hmac.new(self._secret, about, hashlib.sha256).hexdigest()[:16]}"

    async def watch(self, request: control_pb2.WatchEventsRequest, context: Context) -> None:
        """Send events as they happen, until the pool closes.

        Raises:
            NotFoundError: if there is no such study.
            EventsForgottenError: if it cannot begin there.
            LimitExceededError: if the client reads too slowly.
        """
        if request.study:
            self.study(request.study)
        if request.pool not in ("", self._book.pool):
            raise EventsForgottenError(
                f"this is pool {self._book.pool}, and the event number is from pool {request.pool[:200]}:"
                " ask for the status, and watch from its last_event.",
                "EVENTS_FORGOTTEN",
            )
        watcher = self._feed.watch(request.after if request.HasField("after") else None, request.values)
        try:
            said = watcher.place
            first = control_pb2.WatchEventsResponse(sequence=said, pool=self._book.pool)
            await _write(first, watcher, context)
            while taken := await watcher.take():
                for number, happened in taken:
                    if request.study and happened.study not in ("", request.study):
                        continue
                    event = messages.event_of(happened)
                    response = control_pb2.WatchEventsResponse(sequence=number, event=event)
                    await _write(response, watcher, context)
                    said = number
                if watcher.place - said >= _LEFT_OUT:
                    said = watcher.place
                    await _write(control_pb2.WatchEventsResponse(sequence=said), watcher, context)
        finally:
            watcher.close()


async def _write(message: control_pb2.WatchEventsResponse, watcher: Watcher, context: Context) -> None:
    """Send a message, and wait until it is out or the watcher is dropped.

    Raises:
        LimitExceededError: if it is dropped.
    """
    write = asyncio.ensure_future(context.write(message))
    await asyncio.wait({write, watcher.dropped}, return_when=asyncio.FIRST_COMPLETED)
    if write.done():
        write.result()
        return
    # It ends with the call; what it says of that is of no use to anybody.
    write.add_done_callback(lambda done: done.cancelled() or done.exception())
    raise too_slow()
