"""Points as lines of JSON, from a file or standard input; errors name the file and the line."""

from __future__ import annotations

import io
import json
import math
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeAlias

from sparkopt.errors import RefusedError

STANDARD_INPUT: Final = Path("-")

Line: TypeAlias = "tuple[int, dict[str, Any]]"
"""A point, and the number of its line."""


def read(file: Path) -> list[Line]:
    """The points of a whole file.

    Args:
        file: its path; ``-`` for standard input.

    Raises:
        RefusedError: if it cannot be read, or a line is not a point.
    """
    try:
        if file == STANDARD_INPUT:
            return list(parsed(file, _standard_input()))
        with file.open("rb") as lines:
            return list(parsed(file, lines))
    except OSError as error:
        raise RefusedError(f"{file} cannot be read: {error.strerror or error}") from error


def stream() -> Iterator[Line]:
    """The points of standard input, each as soon as its line is there.

    Raises:
        RefusedError: at a line that is not a point.
    """
    # Not by iterating over it, which reads ahead.
    return parsed(STANDARD_INPUT, iter(_standard_input().readline, b""))


def _standard_input() -> BinaryIO:
    try:
        # A reader of its own: a thread that still waits in Python's when the process ends would hold it up.
        return open(sys.stdin.fileno(), "rb", closefd=False)
    except io.UnsupportedOperation:  # it is not a file, but something that stands for one
        return sys.stdin.buffer


def parsed(file: Path, lines: Iterable[bytes]) -> Iterator[Line]:
    """The points of lines; empty ones are passed over.

    Args:
        file: for messages.
        lines: with or without their ends.

    Raises:
        RefusedError: at a line that is not a point.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            point = _decode(line.decode())
        except UnicodeDecodeError:
            raise RefusedError(f"{file}:{number}: the line is not text in UTF-8") from None
        except RecursionError:
            raise RefusedError(f"{file}:{number}: the line is nested too deeply") from None
        except ValueError as error:
            raise RefusedError(f"{file}:{number}: the line is not JSON: {error}") from None
        if not isinstance(point, dict):
            raise RefusedError(
                f"{file}:{number}: the line is not a JSON object: a point has a value for each label, as in"
                ' {"x": 1.5}'
            )
        yield number, point


def _constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    if math.isinf(number := float(text)):
        raise ValueError(f"{text} is too large for a number")
    return number


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} is there twice")
    return found


_decode: Final = json.JSONDecoder(
    parse_float=_number, parse_constant=_constant, object_pairs_hook=_object
).decode
