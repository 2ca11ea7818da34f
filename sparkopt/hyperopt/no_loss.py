"""Error of a search in which no trial has a loss, with a count of the reasons.

trials without a loss ──▶ no_loss ──▶ the error of fmin and of trials.best_trial
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

from hyperopt import base
from hyperopt.exceptions import AllTrialsFailed

from sparkopt.errors import AllTrialsFailedError, TrialLostError
from sparkopt.hyperopt.documents import is_pruned

_LOST: Final = str(TrialLostError)


class NoLossError(AllTrialsFailedError, AllTrialsFailed):  # type: ignore[misc]
    """No trial has a loss that is a number; hyperopt's ``AllTrialsFailed``, with a reason."""


def no_loss(documents: Iterable[dict[str, Any]], why: str = "") -> NoLossError:
    """Return the error for trials of which none has a loss that is a number.

    Args:
        documents: of all trials.
        why: trials failed, as :meth:`Failures.summary` says.
    """
    counts = Counter(_ending_of(document) for document in documents)
    ended = counts.total() - counts["unfinished"]
    if not ended:
        return NoLossError("no trial has a loss: none has ended")
    parts = [
        f"{counts[ending]} {said}"
        for ending, said in (
            ("nan", "returned a loss that is NaN"),
            ("status", "returned another status than 'ok'"),
            ("pruned", "were pruned"),
            ("raised", "raised an error, or returned no result"),
            ("lost", "were lost with their workers"),
            ("cancelled", "were cancelled"),
        )
        if counts[ending]
    ]
    return NoLossError(
        f"no trial has a loss that can be compared: of {ended} trials {', '.join(parts)}."
        + (f" {why}." if why else "")
        + " The documents of all are in trials._dynamic_trials, with each one's reason in misc['error'] or"
        " its result."
    )


def _ending_of(document: dict[str, Any]) -> str:
    state, result = document["state"], document["result"]
    if state == base.JOB_STATE_ERROR:
        why = document["misc"].get("error") or ("",)
        return "lost" if why[0] == _LOST else "raised"
    if state == base.JOB_STATE_CANCEL:
        return "cancelled"
    if state != base.JOB_STATE_DONE:
        return "unfinished"
    if is_pruned(document):
        return "pruned"
    if result.get("status") != base.STATUS_OK:
        return "status"
    loss = result.get("loss")  # documents that were made elsewhere may have none
    return "nan" if loss is None or math.isnan(loss) else "ok"
