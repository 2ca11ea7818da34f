"""Kinds of reports. Apart from the conversions, so that an evaluator need not load protobuf."""

from __future__ import annotations

import enum


class ReportKind(enum.Enum):
    """Kind of what an objective says in the middle of a trial."""

    CHECKPOINT = "checkpoint"
    """An intermediate result."""
    ATTACHMENT = "attachment"
    """A named value beside the result."""
    DETACHMENT = "detachment"
    """An attachment that is to be removed."""
    INJECTION = "injection"
    """Results of other trials, which need not run any more."""
