"""Lanes of running trials' requests. Apart from the conversions, so that an evaluator need not load protobuf.

A request's method begins with its lane and a dot, as in ``mlflow.LogBatch``. An attempt has one request under
way in each lane. On the driver each lane of a study has at most one party, which answers its requests.
"""

from __future__ import annotations

import enum
from typing import Final

SAVE: Final = "Save"
"""Method of the lane of checkpoints: keep the body. The answer is empty."""

LOAD: Final = "Load"
"""Method of the lane of checkpoints: answered with what was kept last; empty if nothing was."""


class Lane(enum.Enum):
    """Addressee of a request."""

    MLFLOW = "mlflow"
    """The study's tracking, for what the objective calls of MLflow."""
    TRIAL = "trial"
    """The study's front end, for what the trial wants to know of its search."""
    CHECKPOINT = "checkpoint"
    """Whoever keeps what earlier attempts of the trial have saved."""


_LANES: Final = {lane.value: lane for lane in Lane}


def method(lane: Lane, name: str) -> str:
    """Returns the method of a lane with a name within it."""
    return f"{lane.value}.{name}"


def split(method: str) -> tuple[Lane, str]:
    """Returns the lane of a method, and the method's name within the lane.

    Raises:
        ValueError: if it has no lane.
    """
    prefix, dot, name = method.partition(".")
    lane = _LANES.get(prefix)
    if lane is None or not dot:
        raise ValueError(
            f"a request's method begins with one of {', '.join(_LANES)} and a dot; {method[:100]!r} does not"
        )
    return lane, name
