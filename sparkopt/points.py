"""``points_to_evaluate``: settings that the user wants to see first, as documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hyperopt import base

from sparkopt.documents import Document
from sparkopt.errors import RefusedError

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
