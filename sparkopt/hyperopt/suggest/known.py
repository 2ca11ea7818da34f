"""Check of the installed hyperopt: is it one whose draws are known?

What is in this package is made after its code.
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
"""Where that code is."""

DIGESTS: Final = frozenset(
    (
        "b555504eac093c1fdaa12ce0095bae27e50db107466792278df4736a2498d02a",  # 0.2.7
        "f1812a7e4e8a963deba5bb377a722c187be427e8478985b669d3dc8c38a1a3b2",  # 0.3.0
    )
)
"""Digests of the sources of the versions that are known. Their draws are the same; but 0.2.7's own TPE raises
with NumPy 2.4 and newer, where what is in this package goes on."""


@functools.cache
def is_known() -> bool:
    """Returns whether it is. If not, its own functions make the suggestions."""
    known = digest() in DIGESTS
    if not known:
        _logger.info("this hyperopt is not known: its own functions make the suggestions, more slowly")
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
