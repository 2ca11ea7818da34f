"""Random search: ``hyperopt.rand.suggest``, draw for draw."""

from __future__ import annotations

from typing import Any

import numpy as np
from hyperopt import base

from sparkopt.hyperopt.program import Program
from sparkopt.hyperopt.suggest.ids import what_is_known_of


class RandomSearch:
    """``hyperopt.rand.suggest`` for one domain.

    Args:
        domain: the space to draw from.
    """

    def __init__(self, domain: base.Domain) -> None:
        ids, drawn = domain.s_new_ids, domain.s_idxs_vals
        self._draw = Program(drawn, [ids, domain.s_rng], what_is_known_of(ids, 1, drawn))

    def __call__(
        self, new_ids: list[int], domain: base.Domain, trials: base.Trials, seed: int
    ) -> list[dict[str, Any]]:
        """Suggest a point for each id, as :func:`hyperopt.rand.suggest` does.

        Args:
            new_ids: of the trials to come.
            domain: the one that this was made for.
            trials: makes the documents.
            seed: what the draws depend on.
        """
        rng = np.random.default_rng(seed)
        miscs = [self._misc(new_id, domain, rng) for new_id in new_ids]
        results = [domain.new_result() for _ in new_ids]
        specs = [None] * len(new_ids)
        documents: list[dict[str, Any]] = trials.new_trial_docs(new_ids, specs, results, miscs)
        return documents

    def _misc(self, new_id: int, domain: base.Domain, rng: np.random.Generator) -> dict[str, Any]:
        idxs, vals = self._draw(np.asarray([new_id]), rng)
        return {
            "tid": new_id,
            "cmd": domain.cmd,
            "workdir": domain.workdir,
            "idxs": {label: list(found) for label, found in idxs.items()},
            "vals": {label: list(vals[label]) for label in idxs},
        }
