"""Rows of journals of searches, for tables, JSON and data frames.

The values that a trial was proposed with, and its result, are pickled. They are read only on request, as
unpickling runs code of whoever could write to the journal.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import os
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sparkopt.errors import JournalError
from sparkopt.study.journal.contents import JournalContents, copy, look
from sparkopt.study.journal.rows import VALUES
from sparkopt.wire import codec
from sparkopt.wire.value_series import ValueSeries

if TYPE_CHECKING:
    import pandas as pd

    from sparkopt.study.journal.rows import Trial

__all__ = ["JournalContents", "JournalTrial", "copy", "look", "read_journal", "rows_of"]


@dataclasses.dataclass(frozen=True, slots=True)
class JournalTrial:
    """A trial, as a journal has it.

    Attributes:
        tid: its number.
        state: how it has settled; ``submitted`` or ``started`` if it has not.
        started: when its last attempt was sent to a worker; None if none was.
        settled: when it settled; None if it has not.
        reason: its remote traceback, or why it was lost.
        result_bytes: size of the pickled result.
        reports: how many reports it made: attachments and checkpoints, and intermediate values.
        loss: of its result; None if there is none, or nothing was unpickled.
        values: what it was proposed with, by label; empty if nothing was unpickled.
    """

    tid: int
    state: str
    started: datetime.datetime | None
    settled: datetime.datetime | None
    reason: str
    result_bytes: int
    reports: int
    loss: float | None
    values: Mapping[str, Any]


def rows_of(contents: JournalContents, trust: bool) -> Iterable[JournalTrial]:
    """The trials of a journal, in the order in which they were submitted.

    Args:
        contents: of the journal.
        trust: whether to unpickle what they were proposed with and what they returned.

    Raises:
        JournalError: if that cannot be unpickled in this process.
    """
    for trial in contents.trials():
        ending = trial.ending
        data = None if ending is None else contents.read(ending.result)
        yield JournalTrial(
            tid=trial.tid,
            state=ending.outcome if ending else "submitted" if trial.started is None else "started",
            started=_time(trial.started),
            settled=_time(None if ending is None else ending.settled),
            reason="" if ending is None else ending.reason,
            result_bytes=len(data or b""),
            reports=sum(_count(each.kind, each.value.body) for each in contents.reports(trial)),
            loss=_loss(data, trial.tid) if trust and data is not None else None,
            values=_values(trial) if trust else {},
        )


def read_journal(place: str | os.PathLike[str], *, trust: bool = False) -> pd.DataFrame:
    """Read a journal into a data frame with a row for each trial. Nothing there changes.

    Args:
        place: its path or address, as of :class:`~sparkopt.SparkTrials`.
        trust: whether to unpickle what trials were proposed with and what they returned, for the column
            ``loss`` and a column ``values.LABEL`` for each label. That runs code of whoever could write to
            the journal.

    Raises:
        RefusedError: if there is no journal.
        JournalError: if it cannot be read.

    Example:
        >>> frame = sparkopt.read_journal("search.journal", trust=True)
        >>> len(frame), "values.x" in frame.columns
        (30, True)
    """
    import pandas as pd

    rows = []
    for trial in rows_of(look(place), trust):
        row = {field.name: getattr(trial, field.name) for field in dataclasses.fields(trial)}
        labels = row.pop("values")
        rows.append({**row, **{f"values.{label}": value for label, value in labels.items()}})
    columns = [field.name for field in dataclasses.fields(JournalTrial) if field.name != "values"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=columns)


def _count(kind: str, body: bytes | None) -> int:
    return len(ValueSeries.from_bytes(body).steps) if kind == VALUES and body is not None else 1


def _time(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)


def _values(trial: Trial) -> Mapping[str, Any]:
    document = _load(trial.own, f"the document of trial {trial.tid}")
    try:
        labels = document["misc"]["vals"]
        return {label: chosen[0] for label, chosen in labels.items() if chosen}
    except (KeyError, TypeError, AttributeError, IndexError):
        return dict(document) if isinstance(document, Mapping) else {}


def _loss(data: bytes, tid: int) -> float | None:
    result = _load(data, f"the result of trial {tid}")
    loss = result.get("loss") if isinstance(result, Mapping) else result
    try:
        return None if loss is None else float(loss)
    except (TypeError, ValueError, OverflowError):
        return math.nan


def _load(data: bytes, what: str) -> Any:
    try:
        return codec.loads(data)
    except Exception as error:
        raise JournalError(
            f"{what} cannot be unpickled in this process ({type(error).__name__}: {error}): look at the"
            " journal without that, or where the objective's modules are"
        ) from error
