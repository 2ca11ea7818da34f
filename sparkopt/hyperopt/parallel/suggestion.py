"""Suggestions: from what is known of a search to the next trials' documents.

1. While fewer trials have finished than ``n_startup_jobs``, a point of the prior that nobody has tried.
2. Afterwards, points drawn from the density of the good trials. The best of them is where that density is
   highest compared with the density of all others, those that run among them.
3. A point that was proposed before is left out, if there is another one among those drawn, or in the prior.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from hyperopt import base

from sparkopt.hyperopt.parallel.axes import Floats
from sparkopt.hyperopt.parallel.densities import Density
from sparkopt.hyperopt.parallel.evidence import Evidence, point_of
from sparkopt.hyperopt.parallel.keywords import Keywords
from sparkopt.hyperopt.parallel.layout import Active, Layout, Rows

Document = dict[str, Any]

_MOST: Final = 2_000
"""A density of trials that are not good needs no more of them."""

_AVERSION: Final = 0.7
"""The power of the other trials' density in the ratio; 1 in TPE. A smaller one explores less."""


class ParallelTPE:
    """``parallel_tpe`` for one domain: it keeps what it has read of the trials from one call to the next.

    Args:
        domain: the space to draw from.
        keywords: settings.
    """

    def __init__(self, domain: base.Domain, keywords: Keywords) -> None:
        self._keywords = keywords
        self._layout = Layout(domain)
        self._evidence = Evidence(self._layout)

    def __call__(
        self, new_ids: list[int], domain: base.Domain, trials: base.Trials, seed: int
    ) -> list[Document]:
        """Suggest a point for each id; see :func:`parallel_tpe`."""
        rng = np.random.default_rng(seed)
        self._evidence.look(trials)
        miscs: list[Document] = []
        together: list[Rows] = []
        for tid in new_ids:
            row = self._suggested(rng, together)
            miscs.append(self._layout.misc(tid, domain, row, rng))
            together.append(self._layout.row(miscs[-1]["vals"]))
        results = [domain.new_result() for _ in new_ids]
        documents: list[Document] = trials.new_trial_docs(new_ids, [None] * len(new_ids), results, miscs)
        return documents

    def _suggested(self, rng: np.random.Generator, together: list[Rows]) -> Rows:
        """A point, beside others that are suggested in the same call."""
        evidence, keywords = self._evidence, self._keywords
        points = evidence.points.union(map(point_of, together)) if together else evidence.points
        with_loss = np.flatnonzero(evidence.losses < np.inf)
        if evidence.finished < keywords.n_startup_jobs or len(with_loss) < 2:
            return self._random(rng, points)
        ranked = with_loss[np.argsort(evidence.losses[with_loss], kind="stable")]
        good = ranked[: keywords.good(len(with_loss))]
        rows = evidence.rows
        others = evidence.others(good, _MOST)
        if together:
            others = np.vstack([others, *together])
        dimensions = float(np.count_nonzero(~np.isnan(rows))) / len(rows)
        weight, layout = keywords.prior_weight, self._layout
        near = Density.around(layout, rows[good], _by_rank(len(good)), weight, dimensions)
        far = Density.around(layout, others, np.ones(len(others)), weight, dimensions)
        drawn = near.drawn(keywords.n_EI_candidates, rng)
        active = layout.active(drawn)
        scores = near.log_density(drawn, active) - _AVERSION * far.log_density(drawn, active)
        found = _first_new(drawn, active, scores, points)
        return self._random(rng, points) if found is None else found

    def _random(self, rng: np.random.Generator, points: set[bytes]) -> Rows:
        drawn = self._layout.drawn(self._keywords.n_EI_candidates, rng)
        found = _first_new(drawn, self._layout.active(drawn), np.zeros(len(drawn)), points)
        return drawn[0] if found is None else found


def _by_rank(count: int) -> Floats:
    """Weights of trials, the best first, as evolution strategies have them (Hansen and Ostermeier 2001)."""
    heights = np.log(count + 1) - np.log(np.arange(1, count + 1))
    weights: Floats = heights / heights.mean()
    return weights


def _first_new(drawn: Rows, active: Active, scores: Floats, points: set[bytes]) -> Rows | None:
    """The row of the highest score that is not a known point; None if all are."""
    rows = np.where(active, drawn, np.nan)
    for place in np.argsort(-scores, kind="stable"):
        if point_of(rows[place]) not in points:
            found: Rows = drawn[place]
            return found
    return None


def parallel_tpe(
    new_ids: list[int], domain: base.Domain, trials: base.Trials, seed: int, **keywords: Any
) -> list[Document]:
    """Suggest points; give it to ``fmin`` as ``algo`` when four trials or more run at once.

    Args:
        new_ids: of the trials to come; each gets a point of its own.
        domain: hyperopt's description of the space.
        trials: what is known.
        seed: what the draws depend on.
        keywords: see :class:`~sparkopt.hyperopt.parallel.keywords.Keywords`; give them by
            ``functools.partial(parallel_tpe, n_startup_jobs=20)``.

    Raises:
        ArgumentTypeError: if there is a keyword that means nothing here, or has no number.
        ArgumentValueError: if a keyword's number makes no sense.

    Example:
        >>> best = fmin(objective, space, algo=sparkopt.parallel_tpe, max_evals=200,
        ...             trials=SparkTrials(parallelism=32))
    """
    return ParallelTPE(domain, Keywords.of(keywords))(new_ids, domain, trials, seed)
