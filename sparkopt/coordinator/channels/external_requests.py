"""Requests of the control service's clients to a study, which answers them in its own thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sparkopt.errors import SparkoptError, WrongStateError


@dataclass(frozen=True, slots=True)
class Stop:
    """A client of the control service wants the study to end.

    Attributes:
        finish_running: whether running trials may finish.
    """

    finish_running: bool


@dataclass(frozen=True, slots=True)
class Points:
    """A client of the control service wants a search to evaluate these points next.

    Attributes:
        points: each a value for every active label.
        answer: to be called once, from any thread: with the ids of their trials, or why there are none.
    """

    points: Sequence[Mapping[str, Any]]
    answer: Callable[[Sequence[int] | SparkoptError], None]

    def refuse(self) -> None:
        """Answer that the study is ending."""
        self.answer(WrongStateError("the study is ending, and evaluates nothing more", "STUDY_ENDED"))


ExternalRequest = Stop | Points
"""Anything that a client of the control service may ask of a study."""
