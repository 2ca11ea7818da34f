"""hyperopt's documents of one study: each from its proposal to its final state, and what all of them say.

    add ──▶ NEW ── start ──▶ RUNNING ── finish ──▶ DONE
             │                  ├────── fail ────▶ ERROR    (hidden from ``trials.trials``)
             └──────────────────┴────── cancel ──▶ CANCEL   (hidden)

Every field is as hyperopt leaves it. Nothing here walks the history: what is kept beside the documents is
kept as it goes.
"""

from __future__ import annotations

import datetime
import math
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
from hyperopt import base
from hyperopt.utils import coarse_utcnow

from sparkopt.core.states import Outcome
from sparkopt.errors import RemoteTraceback, TrialCancelledError, TrialLostError
from sparkopt.wire.report_kinds import ReportKind

if TYPE_CHECKING:
    from sparkopt.coordinator import Reported
    from sparkopt.journal import Entry
    from sparkopt.trials import SparkTrials

Document = dict[str, Any]

Status = Literal["success", "failure", "cancelled"]
"""How a trial has ended, in a word."""


_STATUSES: Final[dict[int, Status]] = {
    base.JOB_STATE_DONE: "success",
    base.JOB_STATE_ERROR: "failure",
    base.JOB_STATE_CANCEL: "cancelled",
}


class Documents:
    """The documents of one study.

    Args:
        trials: where they go. What is in there already, from earlier searches, counts.
        domain: tells what is a result.

    Attributes:
        finished: those that have a result, in the order in which they got it.
        best_loss: the smallest loss of these that is a number; None if there is none.
        first_failure: the remote traceback of the first that failed in this study.
    """

    def __init__(self, trials: SparkTrials, domain: base.Domain) -> None:
        self._trials = trials
        self._domain = domain
        self.finished: list[Document] = []
        self.best_loss: float | None = None
        for document in trials.trials:
            if document["state"] == base.JOB_STATE_DONE:
                self._finished(document)
        self.first_failure: RemoteTraceback | None = None

    def add(self, documents: list[Document]) -> list[Document]:
        """Take an algorithm's proposals in; they are visible at once.

        Raises:
            hyperopt.exceptions.InvalidTrial: if the algorithm made something else than a document.
        """
        return self._trials.record(documents)

    def start(self, document: Document, time: float) -> None:
        """An attempt was sent to a worker, that many seconds after the epoch."""
        document["state"] = base.JOB_STATE_RUNNING
        document["book_time"] = document["refresh_time"] = _coarse(time)

    def report(self, document: Document, reported: Reported) -> None:
        """The objective says something while it runs.

        Raises:
            Exception: if what it says cannot be loaded, or makes no sense to hyperopt.
        """
        value = reported.body.load() if reported.body is not None else None
        match reported.kind:
            case ReportKind.CHECKPOINT:
                document["result"] = value
            case ReportKind.ATTACHMENT:
                self._trials.attachments[reported.name] = value
            case ReportKind.DETACHMENT:
                self._trials.attachments.pop(reported.name, None)
            case ReportKind.INJECTION:
                assert isinstance(value, tuple)
                self._inject(document, *value)

    def _inject(self, source: Document, specs: Any, results: Any, miscs: Any, tids: Any) -> None:
        before = len(self._trials.trials)
        base.Ctrl(self._trials, current_trial=source).inject_results(specs, results, miscs, tids)
        self._trials.refresh()
        for document in self._trials.trials[before:]:
            self._finished(document)

    def recover(self, document: Document, entry: Entry) -> bool:
        """Give a document the state that the journal has for it, and say whether it has a result."""
        if entry.started is not None:
            self.start(document, entry.started)
        for reported in entry.reports:
            self.report(document, reported)
        ended = _coarse(entry.settled)
        if entry.outcome is Outcome.OK:
            try:
                self.finish(document, entry.result.load() if entry.result is not None else None)
            except Exception as error:  # noqa: BLE001 - what is no result fails again
                self.fail(document, str(type(error)), RemoteTraceback.of(error))
        elif entry.outcome is Outcome.LOST:
            self.fail(document, str(TrialLostError), RemoteTraceback(entry.reason))
        else:
            self.fail(document, f"<class '{entry.kind}'>", RemoteTraceback(entry.reason))
        document["refresh_time"] = ended
        return bool(document["state"] == base.JOB_STATE_DONE)

    def finish(self, document: Document, raw: Any) -> None:
        """The objective returned.

        Args:
            document: of the trial.
            raw: a number or hyperopt's dictionary.

        Raises:
            Exception: hyperopt's, if that is no result.
        """
        ctrl = base.Ctrl(self._trials, current_trial=document)
        result = self._domain.evaluate_async2(raw, ctrl)
        document["state"] = base.JOB_STATE_DONE
        document["result"] = result
        document["refresh_time"] = coarse_utcnow()
        self._finished(document)

    def fail(self, document: Document, kind: str, traceback: RemoteTraceback) -> None:
        """The trial failed.

        Args:
            document: of the trial.
            kind: the type of what was raised, as hyperopt writes it.
            traceback: of where it was raised.
        """
        if self.first_failure is None:
            self.first_failure = traceback
        self._end(document, base.JOB_STATE_ERROR, kind, traceback.text)

    def cancel(self, document: Document, reason: str) -> None:
        """Somebody asked for the trial to end."""
        self._end(document, base.JOB_STATE_CANCEL, str(TrialCancelledError), reason)

    def _end(self, document: Document, state: int, kind: str, text: str) -> None:
        document["state"] = state
        document["misc"]["error"] = (kind, text)
        document["refresh_time"] = coarse_utcnow()
        self._trials.hide(document)

    def _finished(self, document: Document) -> None:
        self.finished.append(document)
        loss = document["result"].get("loss")
        # Beside status "fail" there may be anything, and NaN may be beside every status.
        if isinstance(loss, (int, float, np.number)) and not math.isnan(loss):
            number = float(loss)
            self.best_loss = number if self.best_loss is None else min(self.best_loss, number)


def renew(document: Document) -> None:
    """Make a document of an earlier search, whose trial never ended, as good as new."""
    document["state"] = base.JOB_STATE_NEW
    document["result"] = {"status": base.STATUS_NEW}
    document["book_time"] = document["refresh_time"] = None


def _coarse(seconds: float) -> datetime.datetime:
    """A time since the epoch as hyperopt writes it: UTC without saying so, to the millisecond below."""
    exact = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).replace(tzinfo=None)
    return exact.replace(microsecond=exact.microsecond // 1000 * 1000)


def is_lost(document: Document) -> bool:
    """Whether the trial has no result because each worker that tried it was lost."""
    failed: bool = document["state"] == base.JOB_STATE_ERROR
    return failed and document["misc"]["error"][0] == str(TrialLostError)


def status_of(document: Document) -> Status:
    """How a trial that has its final state has ended."""
    return _STATUSES[document["state"]]
