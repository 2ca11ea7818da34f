"""An algorithm of hyperopt's interface in a search that is played: documents as a study leaves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hyperopt import base

from benchmarks.searches.parameters import Point, SearchSpace
from sparkopt.hyperopt.algorithms import algorithm_for


class HyperoptSearch:
    """A search by a ``suggest`` function.

    Args:
        space: where points come from.
        algo: the function.
        seed: of the search.
    """

    def __init__(self, space: SearchSpace, algo: Callable[..., Any], seed: int) -> None:
        self._domain = base.Domain(None, space.of_hyperopt())
        self._algo = algorithm_for(algo, self._domain)
        self._trials = base.Trials()
        self._rstate = np.random.default_rng(seed)
        self._documents: list[dict[str, Any]] = []

    def propose(self) -> Point:
        """Ask for a point."""
        trials = self._trials
        ids = trials.new_trial_ids(1)
        (document,) = self._algo(ids, self._domain, trials, int(self._rstate.integers(2**31 - 1)))
        trials.insert_trial_docs([document])
        document = trials._dynamic_trials[-1]
        trials._trials.append(document)
        self._documents.append(document)
        vals = document["misc"]["vals"]
        return {label: float(found[0]) for label, found in vals.items() if len(found)}

    def settle(self, number: int, loss: float | None) -> None:
        """A trial has ended; None if it failed."""
        document = self._documents[number]
        if loss is None:
            document["state"] = base.JOB_STATE_ERROR
            self._trials._trials.remove(document)
            return
        document["state"] = base.JOB_STATE_DONE
        document["result"] = {"status": base.STATUS_OK, "loss": loss}
