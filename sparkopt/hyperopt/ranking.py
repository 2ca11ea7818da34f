"""Ranking of trials by their losses."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from hyperopt import base

from sparkopt.hyperopt.documents import status_of

if TYPE_CHECKING:
    from sparkopt.hyperopt.documents import Document


def ranked(trials: base.Trials, most: int) -> list[tuple[Document, float]]:
    """Returns the documents of the best trials, the best first, each with its loss."""
    numbers = (pair for pair in with_losses(trials) if not math.isnan(pair[1]))
    return heapq.nsmallest(most, numbers, key=lambda pair: pair[1])


def with_losses(trials: base.Trials) -> Iterator[tuple[Document, float]]:
    """Yields the documents of the trials whose status is ``ok``, each with its loss, if that is a number."""
    for document in [*trials._dynamic_trials]:
        if document["state"] != base.JOB_STATE_DONE or status_of(document) != "success":
            continue
        loss = document["result"].get("loss")
        if isinstance(loss, (int, float, np.number)) and not isinstance(loss, np.complexfloating):
            yield document, float(loss)
