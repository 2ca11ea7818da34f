"""Settings of tracking, as ``SparkTrials(tracking=...)`` and Optuna's ``optimize`` take them; no MLflow."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from sparkopt.wire.arguments import check_flag, check_whole, refuse_type, refuse_value

_MOST_LANES: Final = 256
_TRACKING: Final = "None, True, False or a Tracking"

OUR_TAGS: Final = frozenset(
    {
        *(
            "fmin_uuid",
            "study_uuid",
            "runSource",
            "space",
            "best_trial_tid",
            "mlflow.parentRunId",
            "mlflow.runName",
        ),
        *("tid", "trial_status", "attempt", "worker", "worker_host", "worker_gpus", "error"),
        *(
            f"version.{package}"
            for package in ("python", "sparkopt", "hyperopt", "optuna", "pyspark", "mlflow")
        ),
    }
)
"""Names of the tags that a search sets itself, in its run or in those of its trials."""

_INSTEAD: Final = {"mlflow.runName": "set run_name instead", "mlflow.parentRunId": "set nested instead"}

_SAME: Final = {name.casefold(): name for name in OUR_TAGS}
"""Those names without regard to case, as some stores take them."""


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Settings for how a search is tracked in MLflow.

    The store, its credentials and everything else are MLflow's own settings.

    Args:
        experiment: name of the experiment that the search's runs belong to; it is created if there is none.
            None for the active one. An active run has to belong to it.
        run_name: name of the search's own run; None for one that is made of the objective and the algorithm.
            A run that is active when the search begins keeps its name.
        tags: of the search's run and of the runs of its trials. Names of tags that a search sets itself are
            refused.
        lanes: how many calls of the store may be under way at once at most. None for one with SQLite and
            files, and up to 64 with servers; fewer whenever the store has too much to do.
        artifacts: ``"relay"`` sends what objectives log as files to the driver, which stores them, so that
            workers need no credentials. ``"direct"`` has workers store them themselves, with credentials of
            their own: for large files in object stores, on file systems that all machines share, or behind
            a tracking server. Refused where MLflow would have to ask the tracking store for signed addresses.
        metrics: names of the numbers in a trial's result that become metrics of its run, besides its loss.
            None for all of them. The values of an Optuna study always do.
        nested: whether the trials' runs are children of the search's run, or stand beside it and only share
            its tag ``fmin_uuid``, of an Optuna study ``study_uuid``.

    Raises:
        ArgumentTypeError: if a setting has the wrong type.
        ArgumentValueError: if it has a value that makes no sense.

    Example:
        >>> trials = SparkTrials(8, tracking=Tracking(experiment="churn", tags={"team": "risk"}))
    """

    experiment: str | None = None
    run_name: str | None = None
    tags: Mapping[str, str] = field(default_factory=dict)
    lanes: int | None = None
    artifacts: Literal["relay", "direct"] = "relay"
    metrics: Collection[str] | None = None
    nested: bool = True

    def __post_init__(self) -> None:
        for name in ("experiment", "run_name"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, str):
                refuse_type(name, value, "a name or None")
            if value is not None and not value.strip():
                refuse_value(name, value, "a name or None")
        if not isinstance(self.tags, Mapping) or not _are_texts([*self.tags, *self.tags.values()]):
            refuse_type("tags", self.tags, "a mapping of names to texts")
        for name in self.tags:
            if ours := _SAME.get(name.strip().casefold()):
                expected = f"another than {ours!r}, which a search sets itself"
                refuse_value("the name of a tag", name, expected, _INSTEAD.get(ours, ""))
        if self.lanes is not None:
            lanes = check_whole("lanes", self.lanes, "a whole number from 1 to 256, or None", least=1)
            if lanes > _MOST_LANES:
                refuse_value("lanes", lanes, "a whole number from 1 to 256, or None")
        if self.artifacts not in ("relay", "direct"):
            refuse_value("artifacts", self.artifacts, "'relay' or 'direct'")
        if self.metrics is not None and (isinstance(self.metrics, str) or not _are_texts(self.metrics)):
            refuse_type("metrics", self.metrics, "a collection of names, or None for all numbers")
        object.__setattr__(self, "nested", check_flag("nested", self.nested))
        object.__setattr__(self, "tags", dict(self.tags))


def check_tracking(tracking: object) -> bool | Tracking | None:
    """Check the argument that says whether a search is tracked, or how; None leaves it to the session.

    Raises:
        ArgumentTypeError: if it is something else.
    """
    if tracking is None or isinstance(tracking, Tracking):
        return tracking
    if tracking is Tracking:
        refuse_type("tracking", tracking, _TRACKING, "make one: Tracking(...)")
    return check_flag("tracking", tracking, _TRACKING)


def _are_texts(values: object) -> bool:
    return isinstance(values, Collection) and all(isinstance(value, str) for value in values)
