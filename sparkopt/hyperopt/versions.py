"""Differences between the versions of hyperopt that sparkopt works with: 0.2.7 and 0.3.

Their draws are the same (``suggest/known.py``), and so are their documents.
"""

from __future__ import annotations

from typing import Any, Final

import hyperopt
import numpy as np

_TAKES_WHOLE_FLOATS: Final = hyperopt.__version__.startswith("0.2.")
"""True if a ``switch`` takes any number that is whole. Since 0.3 it takes integers only."""


def switch_position(chosen: Any) -> int:
    """The branch that a ``switch`` takes, checked as the installed hyperopt checks it.

    Args:
        chosen: the value of the first argument of the ``switch``.

    Raises:
        TypeError: if the value is not a number that hyperopt takes.
        ValueError: if the number is negative, or not whole.
    """
    if isinstance(chosen, np.ndarray):
        chosen = chosen.item()
    position = chosen
    if not isinstance(chosen, (int, np.integer)):
        try:
            position = int(chosen) if _TAKES_WHOLE_FLOATS else None
        except (TypeError, ValueError, OverflowError):
            position = None
        if position is None:
            raise TypeError("switch argument was", chosen)
    if position < 0 or position != chosen:
        raise ValueError("switch pos must be positive int", chosen)
    return int(position)
