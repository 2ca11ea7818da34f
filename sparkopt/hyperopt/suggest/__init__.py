"""hyperopt's random search and TPE, with the same draws and less work for each suggestion.

``fmin`` takes what is here in the place of ``hyperopt.rand.suggest`` and ``hyperopt.tpe.suggest``, alone or
with keywords in a ``functools.partial``; every other algorithm runs as it is. The suggestions are hyperopt's,
from the same seed and history, to the last bit. hyperopt's TPE reads every document several times for each
suggestion, and computes the density of each candidate under each trial; neither is needed for the same
answer.

    trials.trials ──▶ history.py ──▶ Moment: which trials count, which are good, what each weighs
                      columns.py     each parameter's values, in the order of trials and of size
                          │
    domain ──▶ tree_parzen.py, a Program in which posteriors.py stands for each parameter's distribution
                          │ candidates, drawn by hyperopt's functions, or by their calls of the generator
                          ▼
                  mixtures.py, cells.py: which of them is the best

The history. A document is read when it is new; until its trial is done, its loss is read again each time.
Changes of the list of documents are found by comparing it with the one seen last, which takes microseconds
where documents are the same objects; whatever cannot be followed is read from the start. So it does not
matter who changes the trials. One thing alone is not seen: a result that is changed inside the document of a
trial that was done.

The best candidate. Only one thing is used of the densities: which candidate has the highest ratio. Mostly,
bounds of the ratios decide that, from sums over cells of trials, with an error of a few millionths. If the
bounds overlap, trials near the remaining candidates are looked at one by one; if rounding could still decide,
or equal values make hyperopt's own order matter, hyperopt's functions compute it. The random stream is not
touched.

What is left to hyperopt. Spaces with a distribution whose parameters are not numbers, keywords that make no
sense, documents of an unusual form, and everything if the sources of the installed hyperopt are unknown
(known.py has their digest). ``python -m benchmarks suggest`` compares both, in time and in what they answer.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from hyperopt import base, rand, tpe

from sparkopt.hyperopt.partials import unwrapped
from sparkopt.hyperopt.suggest.known import is_known
from sparkopt.hyperopt.suggest.parameters import UnknownParameterError
from sparkopt.hyperopt.suggest.random_search import RandomSearch
from sparkopt.hyperopt.suggest.tree_parzen import Settings, TreeParzen
from sparkopt.wire.actor_log import ActorLog

_LOG: Final = ActorLog("study")

_RANDOM: Final = rand.suggest
_TPE: Final = tpe.suggest
_SETTINGS: Final = frozenset(setting.name for setting in fields(Settings))


def accelerated(algo: Callable[..., Any], domain: base.Domain) -> Callable[..., Any]:
    """Returns a faster function than ``algo`` for suggestions in a domain; the documents are the same."""
    inner, keywords = unwrapped(algo)
    if keywords is None or not is_known():
        return algo
    if inner is _RANDOM and not keywords:
        return RandomSearch(domain)
    if inner is _TPE and _SETTINGS.issuperset(keywords):
        settings = Settings(**keywords)
        if settings.make_sense:
            try:
                return TreeParzen(domain, settings)
            except UnknownParameterError as error:
                _LOG.info("suggestions are hyperopt's own", reason=error)
                return algo
    return algo
