"""Proposer of a study: proposes its trials, and learns from their outcomes.

A front end derives from :class:`Proposer`. The study calls it in its thread, for a trial in this order:

    propose ─▶ own_bytes ─▶ argument ─▶ started ─▶ reported … ─▶ finish ─▶ settled
               (journal)                (each attempt)            │
                                                     listeners hear of it here

A study that goes on from a journal calls ``recover``; then ``started``, ``reported``, ``finish`` and
``settled`` for each trial that had settled, in the order in which they had; then ``resume``. After that it
proposes.
"""

from __future__ import annotations

import enum
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Protocol

from sparkopt.core.states import Outcome
from sparkopt.errors import RemoteTraceback, WrongStateError
from sparkopt.study import quarantine
from sparkopt.study.quarantine import ForeignError
from sparkopt.study.trial_record import Proposal, TrialError, TrialRecord
from sparkopt.wire import codec

if TYPE_CHECKING:
    from pathlib import Path

    from sparkopt.coordinator import Payload, Reported, Request
    from sparkopt.study.journal import Entry, SavedState


class Reply(Protocol):
    """Answers a request of a running trial, once, from any thread."""

    def __call__(self, body: bytes | Path | None = None, failure: str | None = None) -> None:
        """Answer with bytes or a file, or say why there is no answer."""


class NoProposal(enum.Enum):
    """Answer of a proposer that proposes nothing."""

    WAIT = enum.auto()
    """Nothing before another trial settles, or the study is woken (``StudySpec.may_idle``): somebody outside
    asks for points, or the front end calls ``StudyChannel.wake``."""

    DONE = enum.auto()
    """Nothing any more."""


WAIT: Final = NoProposal.WAIT
DONE: Final = NoProposal.DONE


@dataclass(frozen=True, slots=True)
class StopSearch:
    """Answer of a proposer that wants the study to end.

    Attributes:
        reason: why, for the trials that are cancelled and for the study's ``stop_reason``; None if the study
            has simply reached its goal.
        finish_running: whether what runs, or waits for a worker, may finish; else it is cancelled. A result
            that has arrived meanwhile counts all the same.

    The first reason that a study is given stays.
    """

    reason: str | None = None
    finish_running: bool = False


class Proposer(ABC):
    """Source of a study's trials.

    Only :meth:`propose` has to be there. The other methods are for front ends whose objectives return more
    than a number, whose trials have objects of their own, or that go on from a journal.

    What a method raises ends the study, unless it says otherwise here; every trial gets its final state then.

    Example:
        >>> import time
        >>> import cloudpickle
        >>> from sparkopt import WorkerPool
        >>> from sparkopt.coordinator import ObjectiveSpec
        >>> from sparkopt.study.proposer import DONE, Proposer
        >>> from sparkopt.study.study import Study
        >>> from sparkopt.study.study_spec import StudySpec
        >>> from sparkopt.study.trial_record import Proposal
        >>> class Halves(Proposer):
        ...     def __init__(self):
        ...         self.number = 0
        ...
        ...     def propose(self, count):
        ...         self.number += 1
        ...         return [Proposal(self.number, {"x": 0.5**self.number})] if self.number < 10 else DONE
        >>> spec = StudySpec(ObjectiveSpec(cloudpickle.dumps(lambda point: point["x"])))
        >>> study, launched = Study(spec, Halves()), time.monotonic()
        >>> with WorkerPool(2) as pool:
        ...     study.run(pool.open_study(spec.objective), pool.parallelism, launched)
    """

    @abstractmethod
    def propose(self, count: int) -> Sequence[Proposal] | NoProposal:
        """Return the next trials.

        Args:
            count: how many to return at most, at least 1.

        Returns:
            The trials; :data:`WAIT` if there are none before another one settles, which is an error if none
            is outstanding and nobody outside can wake the study; :data:`DONE`, or nothing, if there will be
            no more. Before each call, :meth:`settled` has been called for all that has settled.
        """

    def withdraw(self, proposals: Sequence[Proposal]) -> None:
        """Forget what was proposed last, as these trials do not run; their numbers may be used again.

        The study was stopped while it was proposed for, or has refused the proposals.
        """

    def points(self, values: Sequence[Mapping[str, Any]]) -> Sequence[Proposal]:
        """Return a trial for each point that somebody outside wants to be evaluated.

        Args:
            values: a value for each label of the point.

        Raises:
            ControlError: if the study cannot take them; the client hears of it, and the study goes on.
        """
        raise WrongStateError("this study takes no points from outside", "NO_POINTS")

    def argument(self, proposal: Proposal) -> bytes:
        """Return the objective's pickled argument. Whatever this raises is the trial's failure.

        By default the argument is the dictionary of values.
        """
        return codec.dumps(dict(proposal.values))

    # Journals.

    def own_bytes(self, proposal: Proposal) -> bytes:
        """Return what the journal keeps of a trial for :meth:`recover`. By default its values, pickled."""
        return codec.dumps(dict(proposal.values))

    def state(self) -> bytes:
        """Return what :meth:`resume` needs, as it is after the last proposal. Kept together with that."""
        return b""

    def recover(self, entries: Sequence[Entry]) -> Sequence[Proposal | None]:
        """Return the trials that a journal has, in the same order; None for one to leave as it is.

        Args:
            entries: each with the bytes that :meth:`own_bytes` returned.
        """
        return [Proposal(entry.tid, codec.loads(entry.own)) for entry in entries]

    def resume(self, saved: SavedState) -> None:
        """Go on from a state, once everything that had settled has been settled again.

        Args:
            saved: the newest that the journal has: the bytes that :meth:`state` returned, and how many trials
                were proposed after that, whose states are damaged.
        """

    # A trial's way.

    def started(self, record: TrialRecord) -> None:
        """An attempt was sent to a worker; ``record.started`` says when."""

    def reported(self, record: TrialRecord, report: Reported) -> None:
        """The objective has sent something while it runs."""

    def raised(self, record: TrialRecord, exception: Payload) -> None:
        """The objective has raised what is pickled here, and pickles. Called before :meth:`finish`.

        By default it is dropped, as an exception runs code of the user's when it is unpickled: what is told
        is its text, in ``record.error``. To be unpickled by :mod:`sparkopt.study.quarantine` alone.
        """
        exception.drop()

    def finish(self, record: TrialRecord, result: Payload | None) -> None:
        """Take in that a trial has ended, before anybody else hears of it.

        Called once for each trial that was proposed and not withdrawn.

        If ``record.error`` is None, the objective returned: read the result, and put down its ``loss``,
        ``metrics`` and ``fault``, or an ``error`` if it is none. By default a result is a number.

        Args:
            record: with its outcome, and its error if it has no result.
            result: what the objective returned, pickled; None without a result, or if it returned None.
        """
        if record.outcome is not Outcome.OK or record.error is not None:
            return
        try:
            loss = quarantine.load(result, lambda value: None if value is None else float(value))
        except ForeignError as error:
            record.error = TrialError(error.kind, error.traceback.text)
            return
        except (TypeError, ValueError, OverflowError) as error:
            record.error = TrialError(str(type(error)), RemoteTraceback.of(error).text)
            return
        if loss is None:
            record.error = TrialError(str(TypeError), "the objective returned None: it must return a number")
            return
        record.loss, record.metrics = loss, (("loss", loss),)

    def settled(self, record: TrialRecord, replayed: bool) -> StopSearch | None:
        """Return whether the study ends, now that every listener has heard of a trial.

        Called for each trial, also for those that a stop or the deadline cancels; but not once the study ends
        with an error.

        Args:
            record: of a trial that has its final state.
            replayed: whether it had settled before, and the journal tells of it.
        """
        return None

    def serve(self, request: Request, reply: Reply) -> None:
        """Answer what a running trial asks, sometime, from any thread. By default the answer is a refusal.

        Called in the coordinator's thread, where it must not wait for anything. The objective asks with
        ``reporter.ask("trial.METHOD", body)``.

        Args:
            request: has the name of what is asked for as its ``method``, and what that needs as its ``body``.
            reply: takes the answer, or as ``failure`` why there is none.
        """
        reply(failure=f"this study's front end does not know what {request.method[:100]!r} is")

    def cancelling(self) -> None:
        """The study cancels what runs: nothing more is proposed."""
