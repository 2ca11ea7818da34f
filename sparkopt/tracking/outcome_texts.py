"""Documents of a study as JSON, its trials as points for pictures, and the tags of a settled one."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sparkopt.study.search_summary import FinishedTrial
    from sparkopt.study.trial_record import TrialRecord
    from sparkopt.tracking.pictures import Point


def as_json(document: Any) -> str:
    """Write a document as JSON; parts of it that no JSON can hold are written as their text."""
    try:
        return json.dumps(document, indent=2, ensure_ascii=False, default=_plain)
    except (TypeError, ValueError, RecursionError):
        # It may hold names that are not text, or itself.
        return json.dumps(_parts_as_text(document), indent=2, ensure_ascii=False, default=_plain)


def _parts_as_text(document: Any) -> Any:
    if not isinstance(document, Mapping):
        return repr(document)
    return {name: part if _is_storable(part) else repr(part) for name, part in document.items()}


def _is_storable(part: Any) -> bool:
    try:
        json.dumps(part, default=_plain)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def points_of(finished: Sequence[FinishedTrial]) -> list[Point]:
    """Make the points of a picture: trials with a finite loss, and those of their values that are numbers."""
    from sparkopt.tracking.pictures import Point

    points = []
    for trial in finished:
        if trial.loss is not None and math.isfinite(trial.loss):
            values = {label: float(value) for label, value in trial.values.items() if _is_number(value)}
            points.append(Point(trial.tid, trial.loss, values))
    return points


def tags_of(record: TrialRecord) -> dict[str, str]:
    """Say in tags where a trial has settled."""
    tags = {"attempt": str(record.attempt)}
    if record.worker is not None:
        tags["worker"] = record.worker
    if record.host:
        tags["worker_host"] = record.host
    if record.gpus:
        tags["worker_gpus"] = ",".join(record.gpus)
    return tags


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else str(value)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float, np.number)) and not isinstance(value, (bool, np.bool_, complex))
