"""Algorithms as a search calls them: those that are ours keep what they have read of the trials."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hyperopt import base

from sparkopt.hyperopt.parallel import Keywords, ParallelTPE, parallel_tpe
from sparkopt.hyperopt.partials import unwrapped
from sparkopt.hyperopt.suggest import accelerated


def algorithm_for(algo: Callable[..., Any], domain: base.Domain) -> Callable[..., Any]:
    """Returns what a search in a domain calls in the place of ``algo``; the documents are the same."""
    inner, keywords = unwrapped(algo)
    if inner is parallel_tpe and keywords is not None:
        return ParallelTPE(domain, Keywords.of(keywords))
    return accelerated(algo, domain)


def check_keywords(algo: Any) -> None:
    """Refuse keywords that an algorithm of ours does not know.

    Raises:
        ArgumentTypeError: if there is one that means nothing, or has no number.
        ArgumentValueError: if a number makes no sense.
    """
    inner, keywords = unwrapped(algo)
    if inner is parallel_tpe and keywords is not None:
        Keywords.of(keywords)
