"""hyperopt's algorithms, with the same draws and less work for each suggestion.

Who gives ``fmin`` one of hyperopt's own functions gets what is here in its place; the rest runs as it is.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import fields
from typing import Any, Final

from hyperopt import base, rand, tpe

from sparkopt.hyperopt.suggest.known import is_known
from sparkopt.hyperopt.suggest.parameters import UnknownParameterError
from sparkopt.hyperopt.suggest.random_search import RandomSearch
from sparkopt.hyperopt.suggest.tree_parzen import Settings, TreeParzen

_RANDOM: Final = rand.suggest
_TPE: Final = tpe.suggest
_SETTINGS: Final = frozenset(setting.name for setting in fields(Settings))


def accelerated(algo: Callable[..., Any], domain: base.Domain) -> Callable[..., Any]:
    """What to call in the place of ``algo`` for suggestions in a domain: the same documents come of it."""
    inner, keywords = _unwrapped(algo)
    if keywords is None or not is_known():
        return algo
    if inner is _RANDOM and not keywords:
        return RandomSearch(domain)
    if inner is _TPE and _SETTINGS.issuperset(keywords):
        settings = Settings(**keywords)
        if settings.make_sense:
            try:
                return TreeParzen(domain, settings)
            except UnknownParameterError:
                return algo
    return algo


def _unwrapped(algo: Any) -> tuple[Any, dict[str, Any] | None]:
    """The function inside of partial ones, and what keywords it is given; None if it is given more."""
    keywords: dict[str, Any] = {}
    while isinstance(algo, functools.partial):
        if algo.args:
            return algo, None
        keywords = {**algo.keywords, **keywords}
        algo = algo.func
    return algo, keywords
