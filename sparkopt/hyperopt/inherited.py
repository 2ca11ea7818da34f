"""Documents that a search finds on its trials: completed, or refused, before anything is launched.

hyperopt's own documents have two lists for each label of the space, empty ones where the label is not active.
Those of ``hyperopt.fmin.generate_trials_to_calculate``, of other searches or made by hand need not, and TPE
ends with a KeyError when it first looks at them, after twenty trials.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from hyperopt import base

from sparkopt.errors import RefusedError
from sparkopt.hyperopt.documents import Document, completed

if TYPE_CHECKING:
    from sparkopt.hyperopt.space import Space
    from sparkopt.hyperopt.spark_trials import SparkTrials

_WAITING: Final = (base.JOB_STATE_NEW, base.JOB_STATE_RUNNING)
_FIELDS: Final = ("tid", "state", "result", "misc")
_MISC: Final = ("tid", "idxs", "vals")


@dataclass(frozen=True, slots=True)
class _Completion:
    """The ``idxs`` and ``vals`` that a document needs, with an entry for each label."""

    misc: Document
    idxs: dict[str, list[int]]
    vals: dict[str, list[Any]]


class InheritedDocuments:
    """The documents that are there before a search begins.

    Args:
        trials: which have them.
        space: the space of the search.

    Raises:
        RefusedError: naming the first document that no search can go on from, and why.
    """

    def __init__(self, trials: SparkTrials, space: Space) -> None:
        self._trials = trials
        self._tids: set[int] = set()
        self._completions = list(self._looked_through(space))

    def complete(self) -> None:
        """Give the documents what they lack."""
        for completion in self._completions:
            completion.misc.update(idxs=completion.idxs, vals=completion.vals)
        # hyperopt numbers trials by counting those that it knows, and the failed ones are not among them.
        self._trials._ids.update(self._tids)

    def _looked_through(self, space: Space) -> Iterator[_Completion]:
        waiting: set[int] = set()
        for place, document in enumerate(self._trials._dynamic_trials):
            _check_form(place, document)
            tid, misc = document["tid"], document["misc"]
            where = f"trials: the document of trial {tid}"
            waits = document["state"] in _WAITING
            if tid in waiting or (waits and (type(tid) is not int or tid in self._tids)):
                raise RefusedError(
                    f"{where}, which waits to be evaluated, needs an int as its tid that no other has: number"
                    " the trials anew"
                )
            if isinstance(tid, (int, np.integer)):
                self._tids.add(int(tid))
            if waits:
                waiting.add(tid)
            elif document["state"] != base.JOB_STATE_DONE:
                continue  # no algorithm sees those that have failed or were cancelled
            try:
                if not waits:
                    _check_result(document["result"])
                idxs, vals = completed(misc, space, waits)
            except RefusedError as error:
                raise RefusedError(
                    f"{where} {error}. Leave it out, or put it right: a search has to go on from it."
                ) from error
            if idxs == misc["idxs"]:
                idxs = misc["idxs"]  # as they are: numpy's integers stay numpy's
            if waits or idxs is not misc["idxs"] or vals != misc["vals"]:
                yield _Completion(misc, idxs, vals)


def _check_form(place: int, document: Any) -> None:
    """Refuse what is not a document.

    Raises:
        RefusedError: saying what it lacks.
    """
    lacking = _lacking(document, _FIELDS) or _lacking(document["misc"], _MISC)
    if not lacking and document["state"] not in base.JOB_STATES:
        lacking = f"has the state {document['state']!r}, and hyperopt knows {base.JOB_STATES} only"
    if not lacking and not all(isinstance(document["misc"][name], dict) for name in ("idxs", "vals")):
        lacking = "has misc['idxs'] or misc['vals'] that are not dictionaries"
    if lacking:
        raise RefusedError(
            f"trials: what is at place {place} is not one of hyperopt's documents: it {lacking}"
        )


def _lacking(part: Any, fields: tuple[str, ...]) -> str:
    if not isinstance(part, dict):
        return f"is, or holds, {part!r:.100} where a dictionary is expected"
    missing = [name for name in fields if name not in part]
    return f"lacks {missing}" if missing else ""


def _check_result(result: Any) -> None:
    """Refuse a result from which no algorithm can learn.

    Raises:
        RefusedError: going on from the document's name.
    """
    if not isinstance(result, dict) or result.get("status") not in base.STATUS_STRINGS:
        raise RefusedError(f"is done, and its result has no status of hyperopt's: {result!r:.200}")
    loss = result.get("loss")
    if loss is None and result["status"] != base.STATUS_OK:
        return
    if not isinstance(loss, (int, float, np.number)):
        raise RefusedError(f"is done, and its loss is {loss!r:.100}, which is not a number")
    try:
        float(loss)
    except (TypeError, OverflowError) as error:
        raise RefusedError(f"is done, and its loss is {loss!r:.100}, which no float can hold") from error
