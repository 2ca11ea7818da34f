"""Journals of hyperopt searches as Optuna studies, without a Spark session."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from sparkopt.errors import JournalError
from sparkopt.hyperopt.described import DescribedSpace
from sparkopt.hyperopt.documents import DrawnValues
from sparkopt.hyperopt.optuna_bridge import study_of
from sparkopt.study.journal.contents import JournalContents, look
from sparkopt.study.journal.rows import VALUES
from sparkopt.study.trial_description import DescribedState, TrialDescription
from sparkopt.wire import codec
from sparkopt.wire.value_series import ValueSeries

if TYPE_CHECKING:
    from sparkopt.optuna.study_mirror import Study
    from sparkopt.study.journal.rows import Trial


def journal_to_optuna(place: str | os.PathLike[str], space: Any = None, *, trust: bool = False) -> Study:
    """Make an Optuna study of a search's journal, for Optuna's plots and importances. It needs Optuna.

    Nothing in the journal changes, and a search may be writing to it. The study is as
    :meth:`sparkopt.SparkTrials.to_optuna` describes it.

    Args:
        place: path or address of the journal, as of :class:`~sparkopt.SparkTrials`.
        space: of the search. By default it is what the journal says of it: labels, bounds and options. If
            that is nothing, as in journals of earlier versions, choices are the indices of their options, and
            distributions are those that the values suggest.
        trust: whether to unpickle results that are more than numbers, texts, lists and dictionaries of them.
            That runs code of whoever could write to the journal.

    Raises:
        RefusedError: if there is no journal.
        JournalError: if it cannot be read, or not without ``trust=True``.
        ModuleNotFoundError: if there is no Optuna.

    Example:
        >>> study = sparkopt.journal_to_optuna("search.journal")
        >>> len(study.trials), list(study.best_params)
        (30, ['x'])
    """
    contents = look(place)
    words = DescribedSpace(contents.dimensions()) if space is None else DescribedSpace.of(space)
    return study_of(described_journal(contents, words, trust), words.dimensions.values())


def described_journal(
    contents: JournalContents, space: DescribedSpace, trust: bool = False
) -> list[TrialDescription]:
    """Describe the trials of a journal.

    Args:
        contents: of the journal.
        space: of its search; an empty one leaves values as they were drawn.
        trust: whether to unpickle what may run code.

    Raises:
        JournalError: if something cannot be read.
    """
    return [_described(contents, trial, space, trust) for trial in contents.trials()]


def _described(
    contents: JournalContents, trial: Trial, space: DescribedSpace, trust: bool
) -> TrialDescription:
    ending, state, loss = trial.ending, _state_of(trial), None
    series = ValueSeries()
    for report in contents.reports(trial):
        if report.kind == VALUES and report.value.body is not None:
            series = ValueSeries.from_bytes(report.value.body)
    if ending is not None and state == "ok":
        data = contents.read(ending.result)
        result = None if data is None else _load(data, f"the result of trial {trial.tid}", trust)
        if isinstance(result, dict) and result.get("status") != "ok":
            state = "failed"
        else:
            loss = _number(result.get("loss") if isinstance(result, dict) else result)
    document = _load(trial.own, f"the document of trial {trial.tid}", trust)
    return TrialDescription(
        tid=trial.tid,
        state=state,
        params=space.params(DrawnValues(document["misc"]["vals"])),
        values=None if loss is None else (loss,),
        reports=series.by_step(),
        started=trial.started,
        settled=None if ending is None else ending.settled,
        error="" if ending is None else ending.reason,
    )


def _state_of(trial: Trial) -> DescribedState:
    if trial.ending is None:
        return "pending" if trial.started is None else "running"
    outcomes: dict[str, DescribedState] = {
        "ok": "ok",
        "failed": "failed",
        "pruned": "pruned",
        "lost": "lost",
        "cancelled": "cancelled",
    }
    return outcomes.get(trial.ending.outcome, "failed")


def _number(loss: Any) -> float | None:
    try:
        return None if loss is None else float(loss)
    except (TypeError, ValueError, OverflowError):
        return None


def _load(data: bytes, what: str, trust: bool) -> Any:
    try:
        try:
            return codec.loads_plain(data)
        except codec.NotPlainError as error:
            if not trust:
                raise JournalError(
                    f"{what} holds {error}, which is not a plain value: unpickling it may run code of whoever"
                    " could write to the journal. Give trust=True if you trust them."
                ) from None
            return codec.loads(data)
    except JournalError:
        raise
    except Exception as error:
        raise JournalError(
            f"{what} cannot be unpickled in this process ({type(error).__name__}: {error}): look at the"
            " journal where the objective's modules can be imported"
        ) from error
