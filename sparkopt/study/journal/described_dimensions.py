"""Dimensions of a space as text in a journal, for those who look at it and do not have the space."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from sparkopt.study.trial_description import Dimension

KEY: Final = "dimensions"
"""Key of the text among what a journal says about its search. Older journals have no such text."""


def dimensions_to_text(dimensions: Iterable[Dimension]) -> str:
    """Return dimensions as text."""
    return json.dumps([dimension.to_plain() for dimension in dimensions], separators=(",", ":"))


def dimensions_of_text(text: str | None) -> list[Dimension]:
    """Return the dimensions that a text describes.

    Args:
        text: that :func:`dimensions_to_text` has returned; None if there is none.

    Returns:
        None of them if this version cannot read the text: a newer one may have written it.
    """
    if text is None:
        return []
    try:
        return [Dimension.of_plain(plain) for plain in json.loads(text)]
    except (ValueError, TypeError, KeyError, AttributeError):
        return []
