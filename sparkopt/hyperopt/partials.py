"""Algorithms with keywords: ``functools.partial`` around a ``suggest`` function, taken apart."""

from __future__ import annotations

import functools
from typing import Any


def unwrapped(algo: Any) -> tuple[Any, dict[str, Any] | None]:
    """The function inside of partial ones, and what keywords it is given; None if it is given more."""
    keywords: dict[str, Any] = {}
    while isinstance(algo, functools.partial):
        if algo.args:
            return algo, None
        keywords = {**algo.keywords, **keywords}
        algo = algo.func
    return algo, keywords
