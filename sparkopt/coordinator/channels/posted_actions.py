"""Actions of the coordinator for one study, posted to its thread from any other."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from sparkopt.coordinator.channels.study_events import Request
from sparkopt.core import events
from sparkopt.core.states import Lease, TrialKey


class Actor(Protocol):
    """The coordinator, as far as a study's actions need it."""

    def post(self, action: Callable[[], None]) -> bool:
        """Have its thread do something soon, and return whether it still can. From any thread."""

    def post_event(self, event: events.Event) -> None:
        """Have its thread take an event in. From any thread."""

    def submit(
        self, name: str, proposals: Sequence[tuple[int, bytes]], values: Sequence[Mapping[str, Any]]
    ) -> None:
        """Have a study's trials run."""

    def cancel_waiting(self, name: str, reason: str) -> None:
        """End those trials of a study that wait for a worker."""

    def close_study(self, name: str) -> None:
        """Forget a study."""

    def answer(self, lease: Lease, number: int, body: bytes | Path, failure: str | None) -> None:
        """Answer a request of an attempt."""


class PostedActions:
    """Actions of the coordinator that a study's channel asks for: its ``StudyActions``.

    Nothing waits here, and nothing happens once the coordinator's thread has ended.

    Args:
        coordinator: does all of it, in its own thread.
        study: the study's name.
        alone: whether the pool serves no other study, so that workers may leave when it submits no more.
    """

    def __init__(self, coordinator: Actor, study: str, alone: bool) -> None:
        self._coordinator = coordinator
        self._study = study
        self._alone = alone

    def submit(self, proposals: Sequence[tuple[int, bytes]], values: Sequence[Mapping[str, Any]]) -> None:
        """Have trials run."""
        self._coordinator.post(lambda: self._coordinator.submit(self._study, proposals, values))

    def end_submissions(self) -> None:
        """Say that no more trials will be submitted."""
        if self._alone:
            self._coordinator.post_event(events.SubmissionsEnded())

    def prune(self, tid: int, reason: str) -> None:
        """Have a trial that runs stop as pruned."""
        self._coordinator.post_event(events.PruneRequested(self._study, tid, reason))

    def cancel(self, tid: int | None, reason: str) -> None:
        """End a trial, or with None all of them."""
        self._coordinator.post_event(events.CancelRequested(self._study, tid, reason))

    def cancel_waiting(self, reason: str) -> None:
        """End the trials that wait for a worker."""
        self._coordinator.post(lambda: self._coordinator.cancel_waiting(self._study, reason))

    def close(self, closed: Callable[[], None]) -> None:
        """Forget the study; ``closed`` is called after that, in the coordinator's thread."""

        def close() -> None:
            self._coordinator.close_study(self._study)
            closed()

        self._coordinator.post(close)

    def answer(self, request: Request, body: bytes | Path, failure: str | None) -> None:
        """Answer a request; a file is removed once it need not be kept any more."""
        lease = Lease(TrialKey(self._study, request.tid), request.attempt)
        posted = self._coordinator.post(lambda: self._coordinator.answer(lease, request.id, body, failure))
        if not posted and isinstance(body, Path):
            body.unlink(missing_ok=True)
