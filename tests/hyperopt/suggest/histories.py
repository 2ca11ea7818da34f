"""Histories of searches in which everything happens that can happen to trials, and suggestions from them."""

from __future__ import annotations

import copy
import math

import numpy as np
from hyperopt import Trials, base, rand
from hyperopt.base import Ctrl, Domain

from sparkopt.hyperopt.suggest import accelerated
from sparkopt.hyperopt.suggest.tree_parzen import TreeParzen
from tests.support.spaces import typed

UNFINISHED = (base.JOB_STATE_NEW, base.JOB_STATE_RUNNING)


class History:
    """Trials to which things happen, by chance.

    ``happens`` names what can happen to them, beside what a search does.
    """

    def __init__(self, space, algo, seed, happens=()):
        self.domain, self.trials, self.algo = Domain(None, space), Trials(), algo
        self.ours = accelerated(algo, self.domain)
        assert isinstance(self.ours, TreeParzen)
        self.rng = np.random.default_rng(seed)
        self.happens = happens

    def propose(self, count=1, algo=rand.suggest):
        """Have some trials proposed, and perhaps started."""
        ids = self.trials.new_trial_ids(count)
        documents = algo(ids, self.domain, self.trials, self.seed())
        self.trials.insert_trial_docs(documents)
        for document in documents:
            document["state"] = int(self.rng.choice(UNFINISHED))
        self.trials.refresh()

    def seed(self):
        return int(self.rng.integers(2**31 - 1))

    def some(self, states):
        found = [document for document in self.trials._dynamic_trials if document["state"] in states]
        return found[self.rng.integers(len(found))] if found else None

    def settle(self):
        """Let one trial that runs end, in one way or another."""
        document = self.some(UNFINISHED)
        if document is None:
            return
        if self.rng.random() < 0.2:
            document["state"] = int(self.rng.choice([base.JOB_STATE_ERROR, base.JOB_STATE_CANCEL]))
        else:
            document["state"] = base.JOB_STATE_DONE
            document["result"] = self.result()
        self.trials.refresh()

    def result(self):
        loss = float(self.rng.normal())
        results = [
            *[{"status": "ok", "loss": loss}] * 6,
            {"status": "ok", "loss": round(loss)},
            {"status": "ok", "loss": np.float64(loss)},
            {"status": "ok", "loss": math.nan},
            {"status": "ok", "loss": -math.inf},
            {"status": "fail"},
            {"status": "fail", "loss": loss - 1},
        ]
        return results[self.rng.integers(len(results))]

    def checkpoint(self):
        """A trial that runs says how far it has come."""
        document = self.some(UNFINISHED)
        if document is not None:
            document["result"] = self.result()

    def inject(self):
        """An objective reports what it has found beside its own point."""
        source = self.some((*UNFINISHED, base.JOB_STATE_DONE))
        if source is None:
            return
        (tid,) = self.trials.new_trial_ids(1)
        (document,) = rand.suggest([tid], self.domain, self.trials, self.seed())
        misc = {key: document["misc"][key] for key in ("tid", "idxs", "vals")}
        Ctrl(self.trials, current_trial=source).inject_results([None], [self.result()], [misc], [tid])
        self.trials.refresh()

    def copies(self):
        """Somebody puts copies in the place of the documents."""
        self.trials._dynamic_trials = copy.deepcopy(self.trials._dynamic_trials)
        self.trials.refresh()

    def change(self):
        """Somebody puts another document in the place of one that had ended."""
        if not self.trials._dynamic_trials:
            return
        place = self.rng.integers(len(self.trials._dynamic_trials))
        changed = copy.deepcopy(self.trials._dynamic_trials[place])
        changed["result"] = self.result()
        self.trials._dynamic_trials[place] = changed
        self.trials.refresh()

    def cut(self):
        """Somebody takes documents out."""
        first, end = sorted(self.rng.integers(len(self.trials._dynamic_trials) + 1, size=2))
        del self.trials._dynamic_trials[first:end]
        self.trials.refresh()

    def clear(self):
        """Somebody forgets all of them, and others come."""
        self.trials.delete_all()
        self.propose(int(self.rng.integers(1, 40)))

    def shuffle(self):
        """Somebody orders them in another way."""
        self.rng.shuffle(self.trials._dynamic_trials)
        self.trials.refresh()

    def in_place(self):
        """New documents come into the list that was there, as in a study."""
        ids = self.trials.new_trial_ids(2)
        documents = rand.suggest(ids, self.domain, self.trials, self.seed())
        self.trials.insert_trial_docs(documents)
        self.trials._trials.extend(documents)

    def go_on(self, steps):
        """Let things happen."""
        for _ in range(steps):
            if self.happens and self.rng.random() < 0.3:
                getattr(self, self.happens[self.rng.integers(len(self.happens))])()
            elif self.rng.random() < 0.4 or not self.trials._dynamic_trials:
                self.propose(int(self.rng.integers(1, 4)))
            else:
                self.settle()

    def check(self, count=1, adopt=False):
        """Ask both for a suggestion, and perhaps take it in."""
        ids, seed = self.trials.new_trial_ids(count), self.seed()
        kept = np.random.get_state()[1].copy()
        theirs = outcome(self.algo, ids, self.domain, self.trials, seed)
        ours = outcome(self.ours, ids, self.domain, self.trials, seed)
        assert ours == theirs
        assert (np.random.get_state()[1] == kept).all()
        if adopt and theirs[0] == "suggested":
            self.propose(1, self.algo)


def outcome(algo, *arguments):
    """What comes of asking for a suggestion: documents, or an exception."""
    try:
        return "suggested", typed(algo(*arguments))
    except Exception as error:
        return "raised", type(error), str(error)


def filled(space, algo, values, seed, losses=None):
    """A history of finished trials with given values: for each label one a trial, None for none."""
    history = History(space, algo, seed)
    count = len(next(iter(values.values())))
    losses = history.rng.normal(size=count) if losses is None else losses
    ids = history.trials.new_trial_ids(count)
    miscs = [
        {
            "tid": tid,
            "cmd": None,
            "idxs": {label: [] if found[tid] is None else [tid] for label, found in values.items()},
            "vals": {label: [] if found[tid] is None else [found[tid]] for label, found in values.items()},
        }
        for tid in ids
    ]
    results = [{"status": "ok", "loss": float(loss)} for loss in losses]
    documents = history.trials.new_trial_docs(ids, [None] * count, results, miscs)
    for document in documents:
        document["state"] = base.JOB_STATE_DONE
    history.trials.insert_trial_docs(documents)
    history.trials.refresh()
    return history
