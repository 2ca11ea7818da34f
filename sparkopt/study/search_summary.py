"""Summary of a search that has ended, for every front end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sparkopt.study.trial_description import Dimension, TrialDescription


@dataclass(frozen=True, slots=True)
class FinishedTrial:
    """A trial that succeeded.

    Attributes:
        tid: its number.
        loss: None if it has none that is a number.
        values: what it was proposed with, by label.
    """

    tid: int
    loss: float | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SearchSummary:
    """Summary of how a search has ended.

    Attributes:
        counts: of trials, by ``successful``, ``failed``, ``cancelled``, ``total``, and perhaps ``pruned``.
        best: the best of them, which has a loss; None if none has.
        documents: by the name of a file a function that returns what is to be read there about the best, as
            JSON can write it.
        described: returns descriptions of the trials, and of the dimensions that are known, for pictures.
    """

    counts: Mapping[str, int]
    best: FinishedTrial | None = None
    documents: Mapping[str, Callable[[], Any]] = field(default_factory=dict)
    described: Callable[[], tuple[Sequence[TrialDescription], Iterable[Dimension]]] = lambda: ((), ())
