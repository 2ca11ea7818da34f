"""Checks of the frames that an evaluator sends: process A relies on nothing else in them.

An objective can write to any descriptor of its process, so that anything may come out of the socket.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from sparkopt.wire import lanes
from sparkopt.wire.lanes import Lane
from sparkopt.wire.report_kinds import ReportKind
from sparkopt.worker.frames import Frame, FrameError, Kind

ANSWERS: Final = frozenset({Kind.RESULT, Kind.FAILURE, Kind.PRUNED})
"""They end a run."""

QUESTIONS: Final = frozenset({Kind.REPORT, Kind.REQUEST})
"""Each has a reply, and the evaluator waits for it before it asks the next question in the same lane."""

_MOST_THREADS: Final = 2**31 - 1
_MOST_QUESTIONS: Final = 2**63 - 1
_REPORTS: Final = frozenset(kind.value for kind in ReportKind)


def _is_text(value: Any) -> bool:
    """Returns whether the value is text that a message takes."""
    if type(value) is not str:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_duration(value: Any) -> bool:
    return type(value) in (float, int) and 0 <= value < math.inf


def _is_loss(value: Any) -> bool:
    return value is None or type(value) is float


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _MOST_THREADS


def _is_id(value: Any) -> bool:
    return type(value) is int and 0 < value <= _MOST_QUESTIONS


def _is_step(value: Any) -> bool:
    return type(value) is int and value >= 0


def _is_value(value: Any) -> bool:
    return type(value) is float


def _is_method(value: Any) -> bool:
    try:
        return _is_text(value) and bool(lanes.split(value))
    except ValueError:
        return False


def _is_report(value: Any) -> bool:
    return type(value) is str and value in _REPORTS


_Fields: TypeAlias = "dict[str, Callable[[Any], bool]]"

_FIELDS: Final[dict[Kind, _Fields]] = {
    Kind.RESULT: {"seconds": _is_duration, "threads": _is_count, "loss": _is_loss, "fault": _is_text},
    Kind.FAILURE: {"seconds": _is_duration, "type": _is_text, "message": _is_text, "traceback": _is_text},
    Kind.PRUNED: {"seconds": _is_duration},
    Kind.STARTED: {},
    Kind.VALUE: {"step": _is_step, "value": _is_value},
    Kind.REPORT: {"id": _is_id, "report": _is_report, "name": _is_text},
    Kind.REQUEST: {"id": _is_id, "method": _is_method},
}


def check(frame: Frame, directory: Path) -> None:
    """Refuse a frame that no evaluator sends.

    Args:
        frame: from an evaluator.
        directory: where evaluators put payloads that are too large.

    Raises:
        FrameError: saying what is wrong with it.
    """
    fields = _FIELDS.get(frame.kind)
    if fields is None:
        raise FrameError(f"no evaluator sends a {frame.kind.name}")
    header = frame.header
    for name, is_good in fields.items():
        if name not in header or not is_good(header[name]):
            found = repr(header[name])[:60] if name in header else "missing"
            raise FrameError(f"the field {name!r} of a {frame.kind.name} is {found}")
    file = header.get("file")
    if file is not None and (type(file) is not str or "\0" in file or Path(file).parent != directory):
        raise FrameError(f"the field 'file' is {file!r:.200}, which is not in {directory}")


def lane_of(question: Frame) -> Lane | None:
    """Returns the lane of a question that was checked; None for reports, which have one of their own."""
    return lanes.split(question.header["method"])[0] if question.kind is Kind.REQUEST else None
