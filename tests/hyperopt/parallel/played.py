"""A search that is played in one process: proposals, and trials that end as a test says."""

from __future__ import annotations

import numpy as np
from hyperopt import Trials, base
from hyperopt.base import Domain

from sparkopt.hyperopt.parallel import Keywords, ParallelTPE


class PlayedSearch:
    """A search by ``parallel_tpe``.

    Args:
        space: where points come from.
        seed: of the search.
        keywords: of the algorithm.
    """

    def __init__(self, space, seed=0, **keywords):
        self.domain, self.trials = Domain(None, space), Trials()
        self.algo = ParallelTPE(self.domain, Keywords.of(keywords))
        self.rng = np.random.default_rng(seed)

    def propose(self, count=1):
        """Ask for some points at once; their documents, of trials that run."""
        ids = self.trials.new_trial_ids(count)
        seed = int(self.rng.integers(2**31 - 1))
        self.trials.insert_trial_docs(self.algo(ids, self.domain, self.trials, seed))
        self.trials.refresh()
        documents = self.trials._dynamic_trials[-count:]
        for document in documents:
            document["state"] = base.JOB_STATE_RUNNING
        return documents

    def settle(self, document, loss=None, state=base.JOB_STATE_DONE, **fields):
        """End a trial."""
        document["state"] = state
        document["result"] = {"status": base.STATUS_OK, "loss": loss, **fields}
        self.trials.refresh()

    def run(self, objective, trials):
        """Propose and settle trials one after another; an objective of None fails."""
        for _ in range(trials):
            (document,) = self.propose()
            loss = objective(point(document))
            if loss is None:
                self.settle(document, state=base.JOB_STATE_ERROR)
            else:
                self.settle(document, loss)

    def points(self):
        """The points of all trials."""
        return [point(document) for document in self.trials._dynamic_trials]


def point(document):
    """The values of the labels that are active."""
    return {label: found[0] for label, found in document["misc"]["vals"].items() if len(found)}
