"""Points that a user asks for, as documents: ``points_to_evaluate``, and points from a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyperopt import base

from sparkopt.errors import BadRequestError, RefusedError, SparkoptWarning, warn
from sparkopt.hyperopt.documents import Document

if TYPE_CHECKING:
    from sparkopt.hyperopt.space import Space
    from sparkopt.hyperopt.spark_trials import SparkTrials

Point = Mapping[str, Any]


def check_points(points: Sequence[Point], space: Space) -> list[Point]:
    """The points of ``points_to_evaluate``, each with the numbers of the labels that are active in it.

    Args:
        points: a value for each label of the space that is active in the point; for ``hp.choice`` the index
            of the option, as in what ``fmin`` returns.
        space: which they should be in. There is a warning of values beyond the bounds of a continuous
            distribution.

    Raises:
        RefusedError: naming the first that is not a point of the space, and why.
    """
    if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, Sequence):
        raise RefusedError(
            f"points_to_evaluate must be a list of dictionaries, got a {type(points).__name__}"
        )
    found: list[Point] = []
    oddities = []
    for index, point in enumerate(points):
        if not isinstance(point, Mapping):
            raise RefusedError(
                f"points_to_evaluate[{index}] must be a dictionary of values by label, got {point!r}"
            )
        try:
            numbers = space.checked(point)
        except RefusedError as error:
            raise RefusedError(f"points_to_evaluate[{index}] {error}") from error.__cause__
        found.append(numbers)
        oddities += [
            f"points_to_evaluate[{index}] has {oddity}"
            for label, number in numbers.items()
            if (oddity := space.ranges[label].oddity(number))
        ]
    if oddities:
        more = f", and {len(oddities) - 1} more such values" if len(oddities) > 1 else ""
        warn(
            f"{oddities[0]}{more}: the space never proposes that. It is evaluated all the same, and the"
            " algorithm learns from it.",
            SparkoptWarning,
        )
    return found


def check_asked(points: Sequence[Point], space: Space) -> list[Point]:
    """Points from outside, each with the numbers of the labels that are active in it.

    Raises:
        BadRequestError: naming the first that is not a point of the space, and why.
    """
    found: list[Point] = []
    for index, point in enumerate(points):
        field = f"points[{index}]"
        try:
            found.append(space.checked(point))
        except RefusedError as error:
            raise BadRequestError(f"{field} {error}", "BAD_POINT", field) from error
    return found


def values_of(document: Document) -> dict[str, Any]:
    """The values of a trial, by the labels that are active in it."""
    return {label: values[0] for label, values in document["misc"]["vals"].items() if len(values)}


def not_among(points: Sequence[Point], documents: Sequence[Document]) -> list[Point]:
    """Points that no document has. A point that is given twice needs two documents.

    Args:
        points: as they were checked.
        documents: of trials.
    """
    there: list[Point] = [values_of(document) for document in documents]
    missing = []
    for point in points:
        if point in there:
            there.remove(point)
        else:
            missing.append(point)
    return missing


def documents_of(points: Sequence[Point], space: Space, trials: SparkTrials) -> list[Document]:
    """New documents for points, as an algorithm would make them.

    Args:
        points: as they were checked.
        space: has the labels that the documents must have.
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
