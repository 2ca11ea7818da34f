"""Check of an algorithm's proposals before any of them is used.

A study names its trials to the pool by their numbers. Two trials with the same number would be an error of
the pool, which ends every search on it, so the numbers that an algorithm gives its trials are checked here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np
from hyperopt import base

from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.wire.arguments import shown

if TYPE_CHECKING:
    from sparkopt.hyperopt.documents import Document
    from sparkopt.hyperopt.spark_trials import SparkTrials

_EXPECTED: Final = (
    "a list of new documents, at most one for each of the new ids, as hyperopt.rand.suggest makes them"
)
_LARGEST: Final = 2**63


def checked_proposals(returned: Any, ids: Sequence[int], trials: SparkTrials) -> list[Document]:
    """The documents of an algorithm's new trials.

    Args:
        returned: what the algorithm returned.
        ids: the ids that it was given for its trials. It may choose other ids that no trial has.
        trials: the trials of the search so far.

    Raises:
        ArgumentTypeError: if it is not a list of dictionaries.
        ArgumentValueError: if there are too many, or one is not a document of a new trial.
    """
    if isinstance(returned, (str, bytes, dict)) or not hasattr(returned, "__len__"):
        raise ArgumentTypeError(f"algo must return {_EXPECTED}; it returned {shown(returned)}")
    if len(returned) > len(ids):
        _refuse(f"it got {len(ids)} and returned {len(returned)}")
    documents = list(returned)
    taken: set[int] = set()
    for document in documents:
        if not isinstance(document, dict):
            raise ArgumentTypeError(
                f"algo must return {_EXPECTED}; among what it returned is {shown(document)}"
            )
        if "tid" not in document or "state" not in document:
            continue  # hyperopt says what it lacks
        tid = document["tid"]
        whole = type(tid) is int or (isinstance(tid, (int, np.integer)) and not isinstance(tid, bool))
        if not whole or not 0 <= tid < _LARGEST:
            _refuse(f"it returned one whose tid is {shown(tid)}")
        if tid in taken or (tid not in ids and any(known["tid"] == tid for known in trials._dynamic_trials)):
            _refuse(f"it returned one whose tid, {tid}, another trial has already")
        taken.add(int(tid))
        if document["state"] != base.JOB_STATE_NEW:
            _refuse(f"it returned one whose state is {shown(document['state'])}, and not 0, which is new")
    return documents


def _refuse(what: str) -> NoReturn:
    raise ArgumentValueError(f"algo must return {_EXPECTED}; {what}")


def refuse_proposals(error: Exception) -> NoReturn:
    """Refuse documents that hyperopt does not take.

    Raises:
        ArgumentValueError: always.
    """
    raise ArgumentValueError(
        f"algo must return {_EXPECTED}; hyperopt refuses a document that it returned"
        f" ({said_by_hyperopt(error)})"
    ) from error


def said_by_hyperopt(error: Exception) -> str:
    """Hyperopt's reason for refusing a document, without the placeholder that its message has for a name."""
    return f"{type(error).__name__}: {str(error).replace('%s ', '')!s:.300}"
