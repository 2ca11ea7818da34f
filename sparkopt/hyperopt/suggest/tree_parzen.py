"""TPE: ``hyperopt.tpe.suggest``, draw for draw.

    documents ──▶ history.py ──▶ what is known ──▶ posteriors.py ──▶ the best of some candidates
                  columns.py                       mixtures.py       for each parameter, in hyperopt's order

hyperopt builds an expression for each suggestion, in which a posterior stands for each parameter's
distribution, and evaluates it for all candidates at once. Here that expression is looked through once, as a
:class:`~sparkopt.hyperopt.program.Program`.
"""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from hyperopt import base, pyll, tpe

from sparkopt.hyperopt.program import Instead, Program
from sparkopt.hyperopt.suggest.columns import Column, StrangeDocumentError
from sparkopt.hyperopt.suggest.history import History
from sparkopt.hyperopt.suggest.ids import what_is_known_of
from sparkopt.hyperopt.suggest.parameters import offset_of, posterior_of
from sparkopt.hyperopt.suggest.random_search import RandomSearch
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("study")

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settings:
    """Settings of ``hyperopt.tpe.suggest``; see there.

    Attributes:
        prior_weight: how much the prior counts, compared with a trial.
        n_startup_jobs: how many trials random search proposes first.
        n_EI_candidates: how many candidates to choose from.
        gamma: the share of good trials, before a square root.
        verbose: whether to log what is known.
    """

    prior_weight: float = tpe._default_prior_weight
    n_startup_jobs: int = tpe._default_n_startup_jobs
    n_EI_candidates: int = tpe._default_n_EI_candidates
    gamma: float = tpe._default_gamma
    verbose: bool = True

    @property
    def make_sense(self) -> bool:
        """True if they are such as hyperopt means them. What it makes of others is for it to say."""
        numbers = (self.prior_weight, self.n_startup_jobs, self.n_EI_candidates, self.gamma)
        return (
            all(isinstance(number, (int, float)) and math.isfinite(number) for number in numbers)
            and self.prior_weight > 0
            and isinstance(self.n_EI_candidates, int)
            and self.n_EI_candidates >= 1
            and self.gamma >= 0
        )


class TreeParzen:
    """``hyperopt.tpe.suggest`` for one domain.

    It keeps what it has read of the trials from one call to the next. Whatever is not as usual, in the trials
    or in a document, is left to hyperopt.

    Attributes:
        settings: what hyperopt's function would be told.

    Args:
        domain: the space to draw from.
        settings: the same.

    Raises:
        UnknownParameterError: if the space has a parameter whose distribution is for hyperopt to handle.
    """

    def __init__(self, domain: base.Domain, settings: Settings) -> None:
        self.settings = settings
        self._random = RandomSearch(domain)
        ids, drawn = domain.s_new_ids, domain.s_idxs_vals
        moment = pyll.Literal("moment")
        columns: dict[str, Column] = {}
        instead: dict[pyll.Apply, Instead] = {}
        self._offsets: dict[str, int] = {}
        priors = domain.vh.vals_by_label()
        for label, parameter in domain.params.items():
            draw, columns[label] = posterior_of(parameter, float(settings.prior_weight))
            prior = priors[label]
            named = dict(prior.named_args)
            instead[prior] = draw, [named["size"], domain.s_rng, moment]
            offset = offset_of(parameter)
            if offset is not None:
                self._offsets[label] = offset
        same = what_is_known_of(ids, settings.n_EI_candidates, drawn)
        self._draw = Program(drawn, [ids, domain.s_rng, moment], same, instead)
        self._history = History(columns)

    def __call__(
        self, new_ids: list[int], domain: base.Domain, trials: base.Trials, seed: int
    ) -> list[Document]:
        """Suggest a point, as :func:`hyperopt.tpe.suggest` does: for the first id alone, after the start-up.

        Args:
            new_ids: of the trials to come.
            domain: the one that this was made for.
            trials: what is known.
            seed: what the draws depend on.
        """
        try:
            self._history.look(trials.trials)
        except StrangeDocumentError as error:
            _LOG.debug("suggestion is hyperopt's own", reason=error)
            return self._theirs(new_ids, domain, trials, seed)
        rows = self._history.counted()
        if not len(rows) or not new_ids or type(new_ids[0]) is not int:
            return self._theirs(new_ids, domain, trials, seed)
        settings = self.settings
        starting = len(rows) < settings.n_startup_jobs
        moment = None if starting else self._history.moment(rows, settings.gamma)
        if settings.verbose and tpe.logger.isEnabledFor(logging.INFO):
            best = self._history.least_loss(rows)
            tpe.logger.info("TPE using %i/%i trials with best loss %f", len(rows), len(trials), best)
        if moment is None:
            return self._random(new_ids, domain, trials, seed)
        new_id = new_ids[0]
        first = max(int(moment.tids[-1]), new_id) + 2
        ids = list(range(first, first + settings.n_EI_candidates))
        found = self._draw(ids, np.random.default_rng(seed), moment)
        documents: list[Document] = trials.new_trial_docs(
            [new_id], [None], [domain.new_result()], [self._misc(new_id, first, domain, *found)]
        )
        return documents

    def _misc(
        self, new_id: int, first: int, domain: base.Domain, idxs: dict[str, Any], vals: dict[str, Any]
    ) -> dict[str, Any]:
        """The first candidate's values: of a parameter they are all the same, or there is none."""
        active = {label: len(found) > 0 and found[0] == first for label, found in idxs.items()}
        drawn = {label: [vals[label][0]] if is_active else [] for label, is_active in active.items()}
        for label, offset in self._offsets.items():
            drawn[label] = [value + offset for value in drawn[label]]
        return {
            "tid": new_id,
            "cmd": domain.cmd,
            "workdir": domain.workdir,
            "idxs": {label: [new_id] if is_active else [] for label, is_active in active.items()},
            "vals": drawn,
        }

    def _theirs(
        self, new_ids: list[int], domain: base.Domain, trials: base.Trials, seed: int
    ) -> list[Document]:
        settings = self.settings
        documents: list[Document] = tpe.suggest(
            new_ids,
            domain,
            trials,
            seed,
            prior_weight=settings.prior_weight,
            n_startup_jobs=settings.n_startup_jobs,
            n_EI_candidates=settings.n_EI_candidates,
            gamma=settings.gamma,
            verbose=settings.verbose,
        )
        return documents
