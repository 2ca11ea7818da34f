"""Settings that somebody wants to see, as documents: ``points_to_evaluate``, and points from outside."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyperopt import base

from sparkopt.documents import Document
from sparkopt.errors import BadRequestError, RefusedError

if TYPE_CHECKING:
    from sparkopt.space import Space
    from sparkopt.trials import SparkTrials

Point = Mapping[str, Any]


def check_points(points: Sequence[Point], space: Space) -> None:
    """Refuse points that are none of the space.

    Args:
        points: a value for each label of the space that is active in the point; for ``hp.choice`` the index
            of the option, as in what ``fmin`` returns.
        space: where they should lie.

    Raises:
        RefusedError: naming the first that does not, and why.
    """
    if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, Sequence):
        raise RefusedError(
            f"points_to_evaluate must be a list of dictionaries, got a {type(points).__name__}"
        )
    for index, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise RefusedError(
                f"points_to_evaluate[{index}] must be a dictionary of values by label, got {point!r}"
            )
        try:
            space.argument_of(point)
        except RefusedError as error:
            raise RefusedError(f"points_to_evaluate[{index}] {error}") from error.__cause__


def check_asked(points: Sequence[Point], space: Space) -> None:
    """Refuse points from outside that are none of the space.

    Raises:
        BadRequestError: naming the first that is not, and why.
    """
    for index, point in enumerate(points):
        field = f"points[{index}]"
        for label, value in point.items():
            # Algorithms calculate with what they find in the history, and would meet it too late.
            if not _is_number(value):
                raise BadRequestError(
                    f"{field} has {value!r:.100} for {label!r}: it must be a finite number, for hp.choice the"
                    " index of the option",
                    "BAD_POINT",
                    field,
                )
        try:
            space.argument_of(point)
        except RefusedError as error:
            raise BadRequestError(f"{field} {error}", "BAD_POINT", field) from error


def _is_number(value: Any) -> bool:
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:  # no double can hold it
        return False


def documents_of(points: Sequence[Point], space: Space, trials: SparkTrials) -> list[Document]:
    """New documents for points, as an algorithm would make them.

    Args:
        points: checked.
        space: whose labels the documents must have.
        trials: gives them their ids.
    """
    ids = trials.new_trial_ids(len(points))
    miscs = [
        {
            "tid": tid,
            "cmd": ("domain_attachment", "FMinIter_Domain"),
            "workdir": None,
            # Every label has a list, as in the algorithms' own documents: TPE looks for each.
            "idxs": {label: [tid] if label in point else [] for label in space.labels},
            "vals": {label: [point[label]] if label in point else [] for label in space.labels},
        }
        for tid, point in zip(ids, points, strict=True)
    ]
    results = [{"status": base.STATUS_NEW} for _ in ids]
    documents: list[Document] = trials.new_trial_docs(ids, [None] * len(ids), results, miscs)
    return documents
