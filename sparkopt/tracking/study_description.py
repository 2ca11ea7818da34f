"""Description of a study for tracking: facts that are known before it begins, and its front end's names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from sparkopt.study.trial_record import TrialRecord


@dataclass(frozen=True, slots=True)
class RunNames:
    """Names that a front end's studies have in MLflow, by which queries and dashboards know them.

    Attributes:
        source: the tag ``runSource``.
        identity: of the tag that all runs of a study share. A replay finds runs by it: the store has to know
            it (``store.IDENTITY``).
        folder: of the artifacts of a study's run.
        result: of the metric that the study is about. Settings cannot leave it out.
    """

    source: str
    identity: str
    folder: str
    result: str


class SpaceWords(Protocol):
    """A study's space, and points in it, as text."""

    @property
    def text(self) -> str:
        """The whole space; empty if it is not known."""

    def values(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Returns the parameters of a point, in words."""


def _no_tags(record: TrialRecord) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True, slots=True)
class StudyDescription:
    """Facts about a study that are known before it begins.

    Attributes:
        name: for the study's run, if it has none.
        params: of the study's run.
        tags: of the study's run.
        space: in words.
        names: the front end's.
        parallelism: how many trials may run at once.
        until_kept: waits until what the study knows by now cannot be lost any more; it may raise.
        logs_values: whether intermediate values are to be logged; not those that objectives log themselves.
        maximizes: whether the result is the better the larger it is, so that a trial's loss is its negative.
        grows: whether more of a trial's values become known while it runs; see :meth:`Tracker.amended`.
        tags_of: returns tags of a trial that has settled, in the front end's words.
    """

    name: str
    params: Mapping[str, Any]
    tags: Mapping[str, str]
    space: SpaceWords
    names: RunNames
    parallelism: int = 1
    until_kept: Callable[[], None] = lambda: None
    logs_values: bool = True
    maximizes: bool = False
    grows: bool = False
    tags_of: Callable[[TrialRecord], Mapping[str, str]] = _no_tags
