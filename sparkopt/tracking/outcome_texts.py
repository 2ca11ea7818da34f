"""Documents of a study as JSON, and the tags of a settled trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from sparkopt.study.trial_record import TrialRecord


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
