"""Proposer whose trials are hyperopt's documents, and whose proposals an algorithm of hyperopt's makes.

propose   algo(new ids, domain, trials, seed) ──▶ documents (NEW) ──▶ proposals
argument  document ──▶ the space's point, or the document itself for objectives that ask for a Ctrl
finish    outcome ──▶ the document's final state
settled   loss_threshold, early_stop_fn ──▶ whether the search ends
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hyperopt import base
from hyperopt.exceptions import InvalidTrial

from sparkopt.core.states import Outcome
from sparkopt.errors import RefusedError
from sparkopt.hyperopt.documents import DrawnValues, is_pruned, renew, result_fault
from sparkopt.hyperopt.fmin_options import early_stop_answer
from sparkopt.hyperopt.journalled import document_of, restore, state_of
from sparkopt.hyperopt.points_to_evaluate import check_asked, documents_of, values_of
from sparkopt.hyperopt.proposals import checked_proposals, refuse_proposals
from sparkopt.study.journal import gaps
from sparkopt.study.proposer import DONE, NoProposal, Proposer, StopSearch
from sparkopt.study.trial_record import Proposal, TrialError, TrialRecord
from sparkopt.wire import codec

if TYPE_CHECKING:
    from sparkopt.coordinator import Payload, Reported
    from sparkopt.hyperopt.documents import Document, Documents
    from sparkopt.hyperopt.fmin_options import Algorithm, EarlyStop
    from sparkopt.hyperopt.points_to_evaluate import Point
    from sparkopt.hyperopt.space import Space
    from sparkopt.hyperopt.spark_trials import SparkTrials
    from sparkopt.study.journal import Entry, SavedState

CANCELLED_BY_EARLY_STOP: Final = "early stopping condition"

_UNFINISHED: Final = (base.JOB_STATE_NEW, base.JOB_STATE_RUNNING)


@dataclass(frozen=True, slots=True)
class Goal:
    """When a search may end before its budget is used up.

    Attributes:
        loss_threshold: a loss below this ends it once running trials have finished; None for none.
        early_stop: hyperopt's ``early_stop_fn``; called once for each trial with a result.
    """

    loss_threshold: float | None = None
    early_stop: EarlyStop | None = None


class AlgorithmProposer(Proposer):
    """Proposes what an algorithm of hyperopt's does.

    Args:
        domain: the objective and the space.
        space: of the domain.
        algo: hyperopt's ``algo``.
        trials: what the algorithm sees.
        documents: the same, and what becomes of them.
        rstate: where each call of the algorithm gets its seed from.
        goal: when to stop early.
        takes_document: whether the objective gets the document, and not the space's point.
        journal: the path of the search's journal, for messages.
    """

    def __init__(
        self,
        domain: base.Domain,
        space: Space,
        algo: Algorithm,
        trials: SparkTrials,
        documents: Documents,
        rstate: np.random.Generator,
        goal: Goal,
        takes_document: bool = False,
        journal: str | os.PathLike[str] | None = None,
    ) -> None:
        self._domain = domain
        self._space = space
        self._algo = algo
        self._trials = trials
        self._documents = documents
        self._rstate = rstate
        self._goal = goal
        self._takes_document = takes_document
        self._journal = journal
        self._cancelling = False
        self._view = trials.view_of(documents.finished)
        self._early_stop_args: list[Any] = []

    def propose(self, count: int) -> Sequence[Proposal] | NoProposal:
        """Ask the algorithm.

        Raises:
            RefusedError: if it returns what makes no sense.
            hyperopt.exceptions.InvalidTrial: if a document that it made lacks something.
            Exception: whatever it raises.
        """
        trials = self._trials
        ids = trials.new_trial_ids(count)
        seed = self._rstate.integers(2**31 - 1)
        documents = checked_proposals(self._algo(ids, self._domain, trials, seed), ids, trials)
        if not documents:
            return DONE
        try:
            documents = self._documents.add(documents)
        except InvalidTrial:
            raise  # as with hyperopt
        except Exception as error:  # noqa: BLE001 - hyperopt reads whatever the algorithm has put into them
            refuse_proposals(error)
        return [_proposal(document) for document in documents]

    def withdraw(self, proposals: Sequence[Proposal]) -> None:
        """Have the documents not be there."""
        self._trials.forget_last(len(proposals))

    def points(self, values: Sequence[Mapping[str, Any]]) -> Sequence[Proposal]:
        """Make documents of points from outside.

        Raises:
            BadRequestError: naming the first that is not a point of the space.
        """
        return self.recorded(check_asked(values, self._space))

    def recorded(self, points: Sequence[Point]) -> list[Proposal]:
        """Make documents of points.

        Args:
            points: as they were checked.
        """
        if not points:
            return []
        documents = self._trials.record(documents_of(points, self._space, self._trials))
        return [_proposal(document) for document in documents]

    def unfinished(self) -> list[Proposal]:
        """Returns the trials that an earlier search has left unfinished, as good as new."""
        documents = [document for document in self._trials.trials if document["state"] in _UNFINISHED]
        for document in documents:
            renew(document)
        return [_proposal(document) for document in documents]

    def argument(self, proposal: Proposal) -> bytes:
        """Evaluate the space, unless the objective does that itself."""
        document = proposal.origin
        return codec.dumps(
            document if self._takes_document else self._space.argument(document["misc"]["vals"])
        )

    # Journals.

    def own_bytes(self, proposal: Proposal) -> bytes:
        """Pickle the document."""
        return codec.dumps(proposal.origin)

    def state(self) -> bytes:
        """Pickle the state of the random numbers."""
        return state_of(self._rstate)

    def recover(self, entries: Sequence[Entry]) -> Sequence[Proposal | None]:
        """Take in the documents that a journal has and the trials do not.

        Raises:
            RefusedError: if the trials hold some that the journal does not know, or knows otherwise.
            JournalError: if this process cannot unpickle a document.
        """
        trials = self._trials
        there = {entry.tid: document_of(entry, self._journal) for entry in entries}
        known = {document["tid"]: values_of(document) for document in trials._dynamic_trials}
        if strangers := [
            tid for tid, values in known.items() if tid not in there or values_of(there[tid]) != values
        ]:
            raise RefusedError(
                f"these trials hold {len(strangers)} trials that the journal does not know: a journal has to"
                " hold the whole search. Give fmin new SparkTrials, or another journal."
            )
        new = [entry for entry in entries if entry.tid not in known]
        recorded = trials.record([there[entry.tid] for entry in new]) if new else []
        trials.refresh()
        trials.give_again(gaps(there))
        for entry, document in zip(new, recorded, strict=True):
            if entry.outcome is None:
                renew(document)
        proposals = iter(map(_proposal, recorded))
        return [None if entry.tid in known else next(proposals) for entry in entries]

    def resume(self, saved: SavedState) -> None:
        """Go on with the random numbers of a journal's search.

        Raises:
            RefusedError: if that search had a generator of another kind.
            JournalError: if this process cannot unpickle the state.
        """
        restore(self._rstate, saved, self._journal)

    # A trial's way.

    def started(self, record: TrialRecord) -> None:
        """The document is RUNNING."""
        assert record.started is not None
        self._documents.start(record.proposal.origin, record.started)

    def reported(self, record: TrialRecord, report: Reported) -> None:
        """The objective uses its Ctrl."""
        self._documents.report(record.proposal.origin, report)

    def finish(self, record: TrialRecord, result: Payload | None) -> None:
        """Give the document its final state."""
        document, error = record.proposal.origin, record.error
        if record.outcome is Outcome.PRUNED:
            self._documents.prune(document, self._last_loss(record))
        elif error is None:
            read = self._documents.finish(document, result)
            if isinstance(read, TrialError):
                record.error = read
            else:
                record.loss, record.metrics, record.left_out = read.loss, read.metrics, read.left_out
                if is_pruned(document):  # its objective has returned what the document of such a trial has
                    record.outcome, record.loss = Outcome.PRUNED, None
                    record.metrics = [each for each in record.metrics if each[0] != "loss"]
                else:
                    record.fault = result_fault(read.fields)
        elif record.outcome is not Outcome.CANCELLED:
            self._documents.fail(document, error.kind, error.text)
        elif document["state"] in _UNFINISHED:
            # Else an interrupt came when its result was being taken in.
            self._documents.cancel(document, error.text)
        if record.reports is not None:
            # One of that name in the objective's own result stays.
            document["result"].setdefault("intermediate", record.reports.by_step())
        self._trials.note_run(record)

    def _last_loss(self, record: TrialRecord) -> float | None:
        """The last value that a trial has reported, as a loss; None if there is none on the loss's scale."""
        newest = None if record.reports is None else record.reports.newest
        if newest is None or (self._trials.metric is not None and not self._trials.metric_is_loss):
            return None
        return newest[1] if self._trials.mode == "min" else -newest[1]

    def settled(self, record: TrialRecord, replayed: bool) -> StopSearch | None:
        """Look at the goal, once for each trial that has a result."""
        if replayed:
            self._documents.redate(record.proposal.origin, record.settled or 0.0)
        if not record.has_result:
            return None
        threshold, best = self._goal.loss_threshold, self._documents.best_loss
        reached = threshold is not None and best is not None and best < threshold
        if self._goal.early_stop is not None and not self._cancelling:
            said = self._goal.early_stop(self._view, *self._early_stop_args)
            stops, self._early_stop_args = early_stop_answer(said)
            if stops:
                return StopSearch(CANCELLED_BY_EARLY_STOP)
        return StopSearch(finish_running=True) if reached else None

    def cancelling(self) -> None:
        """Ask ``early_stop_fn`` no more."""
        self._cancelling = True


def _proposal(document: Document) -> Proposal:
    return Proposal(int(document["tid"]), DrawnValues(document["misc"]["vals"]), document)
