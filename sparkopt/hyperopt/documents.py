"""hyperopt's documents of one study: each from its proposal to its final state, and what all of them say.

    add ──▶ NEW ── start ──▶ RUNNING ── finish ──▶ DONE
             │                  ├────── prune ───▶ DONE     (status ``fail``, with its last value as its loss)
             │                  ├────── fail ────▶ ERROR    (hidden from ``trials.trials``)
             └──────────────────┴────── cancel ──▶ CANCEL   (hidden)

Every field is as hyperopt leaves it. Nothing here walks the history: what is kept beside the documents is
kept as it goes.
"""

from __future__ import annotations

import datetime
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hyperopt import base
from hyperopt.utils import coarse_utcnow

from sparkopt.errors import (
    RefusedError,
    RemoteTraceback,
    SparkoptWarning,
    TrialCancelledError,
    TrialLostError,
    warn,
)
from sparkopt.hyperopt.results import VALUE_ERRORS, Result, checked, read_result
from sparkopt.study.quarantine import ForeignError, Patience, load
from sparkopt.study.trial_record import Status, TrialError
from sparkopt.wire.report_kinds import ReportKind

if TYPE_CHECKING:
    from sparkopt.coordinator import Payload, Reported
    from sparkopt.hyperopt.space import Space
    from sparkopt.hyperopt.spark_trials import SparkTrials

Document = dict[str, Any]

_STATUSES: Final[dict[int, Status]] = {
    base.JOB_STATE_ERROR: "failure",
    base.JOB_STATE_CANCEL: "cancelled",
}

PRUNED: Final = "pruned"
"""Field of the result of a trial that was pruned: True."""

_EPOCH: Final = datetime.datetime(1970, 1, 1)


class Documents:
    """The documents of one study.

    Args:
        trials: where they go. What is in there already, from earlier searches, counts.
        domain: tells what is a result.
        space: of the domain.
        patience: how long what a trial sends may take to be read.

    Attributes:
        finished: those that have a result, in the order in which they got it; none that was pruned.
        best_loss: the smallest loss of those of status ``ok`` that is a number; None if there is none.
    """

    def __init__(self, trials: SparkTrials, domain: base.Domain, space: Space, patience: Patience) -> None:
        self._trials = trials
        self._domain = domain
        self._space = space
        self._patience = patience
        self.finished: list[Document] = []
        self.best_loss: float | None = None
        for document in trials.trials:
            if document["state"] == base.JOB_STATE_DONE and not is_pruned(document):
                self._finished(document, document["result"].get("loss"))

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
        """The objective says something while it runs. What cannot be taken is warned of, and costs itself."""
        try:
            self._report(document, reported)
        except (ForeignError, RefusedError, *VALUE_ERRORS) as error:
            what = str(error) if isinstance(error, ForeignError) else f"{type(error).__name__}: {error}"
            article = "an" if reported.kind in (ReportKind.ATTACHMENT, ReportKind.INJECTION) else "a"
            warn(
                f"trial {reported.tid} sent {article} {reported.kind.value} that cannot be taken: {what}."
                " The trial goes on without it.",
                SparkoptWarning,
            )

    def _report(self, document: Document, reported: Reported) -> None:
        match reported.kind:
            case ReportKind.CHECKPOINT:
                document["result"], _ = load(reported.body, checked, self._patience)
            case ReportKind.ATTACHMENT:
                self._trials.attachments[reported.name] = load(reported.body, _same, self._patience)
            case ReportKind.DETACHMENT:
                self._trials.attachments.pop(reported.name, None)
            case ReportKind.INJECTION:
                read = partial(_Injection.of, space=self._space)
                self._inject(document, load(reported.body, read, self._patience))

    def _inject(self, source: Document, injection: _Injection) -> None:
        before, miscs = len(self._trials.trials), injection.miscs
        tids = self._trials.new_trial_ids(len(miscs)) if injection.tids is None else injection.tids
        for tid, misc in zip(tids, miscs, strict=True):
            misc.setdefault("tid", tid)
            misc["idxs"], misc["vals"] = completed(misc, self._space)
        base.Ctrl(self._trials, source).inject_results(injection.specs, injection.results, miscs, tids)
        self._trials.refresh()
        for document in self._trials.trials[before:]:
            self._finished(document, document["result"].get("loss"))

    def redate(self, document: Document, settled: float) -> None:
        """Have a document that was finished again show when its trial settled.

        Args:
            document: of a trial that has its final state.
            settled: in seconds since the epoch.
        """
        document["refresh_time"] = _coarse(settled)

    def finish(self, document: Document, payload: Payload | None) -> Result | TrialError:
        """The objective returned. What is not a result, or cannot be read, is the trial's failure.

        Args:
            document: of the trial.
            payload: the pickled number or dictionary of hyperopt's.

        Returns:
            The result, or why there is none.
        """
        try:
            result = read_result(
                payload, self._domain, lambda name: self._trials.aname(document, name), self._patience
            )
        except ForeignError as error:
            return self._failed(document, error.kind, error.traceback)
        except VALUE_ERRORS as error:
            return self._failed(document, str(type(error)), RemoteTraceback.of(error))
        finally:
            if payload is not None:
                payload.drop()
        if result.attachments:
            self._trials.attachments.update(result.attachments)
        document["state"] = base.JOB_STATE_DONE
        document["result"] = result.fields
        document["refresh_time"] = coarse_utcnow()
        self._finished(document, result.loss)
        return result

    def _failed(self, document: Document, kind: str, traceback: RemoteTraceback) -> TrialError:
        self.fail(document, kind, traceback.text)
        return TrialError(kind, traceback.text)

    def prune(self, document: Document, loss: float | None) -> None:
        """The trial was stopped before its end. What its objective has saved with its Ctrl stays.

        Args:
            document: of the trial.
            loss: how far it had come, for algorithms to learn from; None if that is not known.
        """
        document["state"] = base.JOB_STATE_DONE
        document["result"] = {**document["result"], "status": base.STATUS_FAIL, PRUNED: True}
        if loss is not None and not math.isnan(loss):
            document["result"]["loss"] = loss
        document["refresh_time"] = coarse_utcnow()

    def fail(self, document: Document, kind: str, text: str) -> None:
        """The trial failed.

        Args:
            document: of the trial.
            kind: the type of what was raised, as hyperopt writes it.
            text: the traceback of where it was raised, or the reason.
        """
        self._end(document, base.JOB_STATE_ERROR, kind, text)

    def cancel(self, document: Document, reason: str) -> None:
        """Somebody asked for the trial to end."""
        self._end(document, base.JOB_STATE_CANCEL, str(TrialCancelledError), reason)

    def _end(self, document: Document, state: int, kind: str, text: str) -> None:
        document["state"] = state
        document["misc"]["error"] = (kind, text)
        document["refresh_time"] = coarse_utcnow()
        self._trials.hide(document)

    def _finished(self, document: Document, loss: Any) -> None:
        self.finished.append(document)
        # A trial that says that it has failed is never the best, whatever its loss is.
        if document["result"].get("status") != base.STATUS_OK:
            return
        if (type(loss) is float or isinstance(loss, (int, float, np.number))) and not math.isnan(loss):
            number = float(loss)
            self.best_loss = number if self.best_loss is None else min(self.best_loss, number)


@dataclass(frozen=True, slots=True)
class _Injection:
    """Results of other trials that an objective has added; see :meth:`hyperopt.Ctrl.inject_results`."""

    specs: list[Any]
    results: list[Document]
    miscs: list[Document]
    tids: list[int] | None

    @classmethod
    def of(cls, value: Any, space: Space) -> _Injection:
        """Reads the injected results from a report.

        Args:
            value: what the objective has sent.
            space: of the search.

        Raises:
            Exception: if hyperopt could make no documents of it.
        """
        specs, results, miscs, tids = value
        read = []
        for result in results:
            fields, _ = checked(result)
            if fields.get("status") not in base.STATUS_STRINGS:
                raise ValueError(f"an injected result has the status {fields.get('status')!r}")
            read.append(fields)
        own = None if tids is None else [int(tid) for tid in tids]
        found = [dict(misc) for misc in miscs]
        for misc in found:
            # The numbers alone, so that nobody asks an object of the user's later.
            _, misc["vals"] = completed({"tid": None, **misc}, space)
        return cls(list(specs), read, found, own)


def _same(value: Any) -> Any:
    return value


def completed(
    misc: Document, space: Space, to_evaluate: bool = False
) -> tuple[dict[str, list[int]], dict[str, list[Any]]]:
    """The ``idxs`` and ``vals`` of a document, with a list for each label, as in hyperopt's own.

    Args:
        misc: of the document.
        space: has the labels that the document must have.
        to_evaluate: whether the values have to make a point of the space. Those of a trial that has its
            result may be of a smaller one, or of a larger one: what the space does not know is left as it is.

    Raises:
        RefusedError: going on from the document's name, if algorithms cannot calculate with a value.
    """
    tid, known = misc["tid"], misc["vals"]
    drawn = {}
    for label, found in known.items():
        if not isinstance(found, (list, tuple)) or len(found) > 1:
            raise RefusedError(
                f"has {found!r:.100} for {label!r}: a list of one value, or of none, is expected"
            )
        if len(found) and (to_evaluate or label in space.ranges):
            drawn[label] = found[0]
    if to_evaluate:
        drawn = space.checked(drawn)
    else:
        drawn = {label: space.ranges[label].number(value) for label, value in drawn.items()}
    idxs, vals = dict(misc["idxs"]), dict(known)
    for label in space.labels:
        idxs[label], vals[label] = ([tid], [drawn[label]]) if label in drawn else ([], [])
    return idxs, vals


class DrawnValues(Mapping[str, Any]):
    """Values of a document by the labels that are active in it, read from its ``vals`` when asked for.

    Args:
        vals: for each label a list of one value, or of none if the label is not active.
    """

    __slots__ = ("_vals",)

    def __init__(self, vals: Mapping[str, Any]) -> None:
        self._vals = vals

    def __getitem__(self, label: str) -> Any:
        found = self._vals[label]
        if not len(found):
            raise KeyError(label)
        return found[0]

    def __iter__(self) -> Iterator[str]:
        return (label for label, found in self._vals.items() if len(found))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return repr(dict(self))


def result_fault(fields: Mapping[str, Any]) -> str:
    """Says that a result's status is not ``ok``; empty if it is."""
    status = fields.get("status")
    return "" if status == base.STATUS_OK else f"status {status!r}"


def renew(document: Document) -> None:
    """Make a document of an earlier search, whose trial never ended, as good as new."""
    document["state"] = base.JOB_STATE_NEW
    document["result"] = {"status": base.STATUS_NEW}
    document["book_time"] = document["refresh_time"] = None


def _coarse(seconds: float) -> datetime.datetime:
    """A time since the epoch as hyperopt writes it: UTC without a time zone, in whole milliseconds."""
    return _EPOCH + datetime.timedelta(milliseconds=round(seconds * 1_000_000) // 1000)


def is_pruned(document: Document) -> bool:
    """Returns whether the trial was stopped because it would not win."""
    result = document["result"]
    return result.get(PRUNED) is True and result.get("status") == base.STATUS_FAIL


def is_lost(document: Document) -> bool:
    """Returns whether the trial has no result because each worker that tried it was lost."""
    # One that was made elsewhere need not say why it has failed.
    why = document["misc"].get("error")
    return bool(document["state"] == base.JOB_STATE_ERROR and why and why[0] == str(TrialLostError))


def status_of(document: Document) -> Status:
    """Returns how a trial in a final state ended. Unless pruned, any status but ``ok`` is a failure."""
    if is_pruned(document):
        return "pruned"
    if document["state"] == base.JOB_STATE_DONE:
        return "success" if document["result"].get("status") == base.STATUS_OK else "failure"
    return _STATUSES[document["state"]]
