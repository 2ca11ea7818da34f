"""Objectives that are evaluated from outside: their results leave the worker as JSON.

    result ──▶ plain values? ──▶ JSON ──▶ bytes, as they will be read by a client in whatever language
                   └── no: numpy's and others' numbers and arrays made plain, infinities made text

Nothing of such a result is pickled, so nobody has to unpickle it.
"""

from __future__ import annotations

import json
import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from sparkopt.errors import ResultError
from sparkopt.wire.limits import RESULT_BYTES
from sparkopt.worker.shipped import ShippedObjective

__wraps_objectives__ = True

_encode: Final = json.JSONEncoder(allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class OutsideObjective(ShippedObjective):
    """An objective whose results are told outside of Python."""

    def pack(self, result: Any) -> bytes:
        """Returns a result as JSON, in ASCII.

        Raises:
            ResultError: if JSON cannot say it, or a message cannot hold it.
        """
        text = to_json(result)
        if len(text) > RESULT_BYTES:
            raise ResultError(
                f"the objective's result takes {len(text):,} bytes as JSON, and an answer holds"
                f" {RESULT_BYTES:,} at most. Return less, and have the objective store the rest where the"
                " client can read it."
            )
        return text.encode()

    def advice(self, result: Any) -> str:
        """Says nothing: a :class:`ResultError` does."""
        return ""


def to_json(result: Any) -> str:
    """A result as JSON.

    Numbers of whatever library, and arrays that have ``tolist``, are numbers and lists; ``NaN``,
    ``Infinity`` and ``-Infinity``, which JSON does not know, are text.

    Raises:
        ResultError: naming the part that JSON cannot say.
    """
    try:
        return _encode(result)
    except (TypeError, ValueError, RecursionError):
        pass  # not plain: numpy's, not finite, or none of JSON's
    try:
        return _encode(_plain(result, "the result", frozenset()))
    except RecursionError:
        raise _error("the result is nested too deeply") from None


def _plain(value: Any, where: str, around: frozenset[int]) -> Any:
    """A value as JSON can say it.

    Args:
        value: a part of the result.
        where: it stands.
        around: the ids of the containers that it stands in.
    """
    if value is None or isinstance(value, (bool, str)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        number = float(value)
        return number if math.isfinite(number) else _text(number)
    if id(value) in around:
        raise _error(f"{where} contains itself")
    around = around | {id(value)}
    if isinstance(value, Mapping):
        return {_key(key, where): _plain(item, f"{where}[{key!r}]", around) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{index}]", around) for index, item in enumerate(value)]
    if not isinstance(value, type) and callable(getattr(value, "tolist", None)):
        return _plain(value.tolist(), where, around)
    raise _error(f"{where} is a {_kind(value)}")


def _text(number: float) -> str:
    """Returns the text for a number that JSON does not know, in the words that protobuf has for it."""
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _key(key: Any, where: str) -> Any:
    if key is None or isinstance(key, (str, bool)):
        return key  # JSON has a word for each
    if isinstance(key, numbers.Integral):
        return int(key)
    if isinstance(key, numbers.Real):
        return float(key) if math.isfinite(key) else _text(float(key))
    raise _error(f"a key of {where} is a {_kind(key)}, {key!r}")


def _error(what: str) -> ResultError:
    return ResultError(
        f"the objective's result cannot be said in JSON: {what}. Return numbers, text, lists and dictionaries"
        " (numpy's scalars and arrays count as such), and store anything else within the objective."
    )


def _kind(value: object) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
