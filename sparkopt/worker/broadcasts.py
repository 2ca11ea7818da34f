"""Stand-in for a broadcast variable on workers that were launched before it was captured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class EmbeddedBroadcast:
    """A broadcast variable's value, shipped with the objective.

    Attributes:
        value: as in :class:`pyspark.Broadcast`.
    """

    value: Any
