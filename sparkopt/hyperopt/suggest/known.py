"""Check whether the installed hyperopt is a version whose draws are known.

This package reproduces the draws of those versions, from their code.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import logging
from typing import Final

from hyperopt import base, pyll, pyll_utils, rand, tpe, vectorize

_logger = logging.getLogger("sparkopt.study")

MODULES: Final = (base, pyll.base, pyll.stochastic, pyll_utils, rand, tpe, vectorize)
"""Modules of hyperopt that hold that code."""

DIGESTS: Final = frozenset(
    (
        "b555504eac093c1fdaa12ce0095bae27e50db107466792278df4736a2498d02a",  # 0.2.7
        "f1812a7e4e8a963deba5bb377a722c187be427e8478985b669d3dc8c38a1a3b2",  # 0.3.0
    )
)
"""Digests of the sources of the known versions. Their draws are the same; but 0.2.7's own TPE raises with
NumPy 2.4 and newer, where this package still works."""


@functools.cache
def is_known() -> bool:
    """Returns whether the installed hyperopt is known. If not, its own functions make the suggestions."""
    known = digest() in DIGESTS
    if not known:
        _logger.info("this hyperopt version is not known: its own functions make suggestions, more slowly")
    return known


def digest() -> str:
    """Returns a digest of the installed hyperopt's sources."""
    found = hashlib.sha256()
    for module in MODULES:
        try:
            found.update(inspect.getsource(module).encode())
        except (OSError, TypeError):
            return "no sources"
    return found.hexdigest()
