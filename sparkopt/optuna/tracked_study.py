"""A study of Optuna's in MLflow: its parameters, tags and best trial, by the names of MLflowCallback.

    optimize ──▶ tracked ──▶ tracking/: main run, a child for each trial ──▶ at the end: best trial, counts

MLflowCallback is optuna-integration's. MLflow is loaded only when a study that is tracked begins.
"""

from __future__ import annotations

import datetime
import platform
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from optuna.study import StudyDirection
from optuna.trial import TrialState

from sparkopt.optuna.described_study import descriptions_of
from sparkopt.optuna.returned_values import VALUE
from sparkopt.study.listener import Listener
from sparkopt.study.search_summary import FinishedTrial, SearchSummary
from sparkopt.tracking.study_description import RunNames, StudyDescription
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.installed_versions import version_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    import optuna

    from sparkopt.study.trial_record import Status, TrialRecord
    from sparkopt.tracking.tracker import Tracker
    from sparkopt.tracking.tracking_settings import Tracking

_LOG: Final = ActorLog("tracking")

NAMES: Final = RunNames("sparkopt.optuna", "study_uuid", "optuna", VALUE)

_PACKAGES: Final = ("sparkopt", "optuna", "pyspark")

_STATES: Final[Mapping[Status, TrialState]] = {
    "success": TrialState.COMPLETE,
    "failure": TrialState.FAIL,
    "pruned": TrialState.PRUNED,
    "cancelled": TrialState.FAIL,
}

_OURS: Final = frozenset(
    {
        *("attempt", "error", "runSource", "study_uuid", "tid", "trial_status"),
        *("worker", "worker_gpus", "worker_host", "mlflow.parentRunId"),
        *("datetime_complete", "datetime_start", "direction", "number", "state"),
    }
)
"""Tags of a trial's run that no user attribute replaces: one of that name is found as ``user.<name>``."""


class ParameterWords:
    """Parameters of Optuna's trials as text, as ``mlflow.log_params`` writes them.

    Attributes:
        text: of the space, which nobody knows before its trials have run.
    """

    text: str = ""

    def values(self, values: Mapping[str, Any]) -> Mapping[str, str]:
        """Returns the parameters of a trial by name."""
        return {name: str(value) for name, value in values.items()}


class StatusCounts(Listener):
    """Counts how trials have ended.

    Attributes:
        counts: by status.
    """

    def __init__(self) -> None:
        self.counts: Counter[Status] = Counter()

    def settled(self, record: TrialRecord) -> None:
        """Count a trial."""
        self.counts[record.status] += 1


def tracks_itself(callbacks: Iterable[object]) -> bool:
    """Returns whether a callback is optuna-integration's MLflowCallback, which records the same trials."""
    classes = map(type, callbacks)
    return any(each.__name__ == "MLflowCallback" and "optuna" in each.__module__ for each in classes)


@contextmanager
def tracked(
    study: optuna.Study, params: Mapping[str, Any], parallelism: int, settings: Tracking, *, shown: bool
) -> Iterator[tuple[Tracker, StatusCounts]]:
    """Record a study, from its first trial here to its last.

    Args:
        study: Optuna's.
        params: of the study's run.
        parallelism: how many trials may run at once.
        settings: how it is tracked.
        shown: whether to show what is left to write at the end.

    Yields:
        Listeners of the study's trials; the first records them.

    Raises:
        TrackingError: at the start, if MLflow or the tracking store cannot be used.
    """
    from sparkopt.tracking.recorded_study import recorded

    counts = StatusCounts()
    direction = _direction_of(study)
    description = StudyDescription(
        study.study_name,
        {**params, "sampler": type(study.sampler).__name__, "pruner": type(study.pruner).__name__},
        _tags(study, direction),
        ParameterWords(),
        NAMES,
        parallelism,
        maximizes=study.directions == [StudyDirection.MAXIMIZE],
        grows=True,
        tags_of=partial(_tags_of, direction),
    )
    with recorded(description, settings, lambda: _summary_of(study, counts.counts), shown=shown) as tracker:
        yield tracker, counts


def _direction_of(study: optuna.Study) -> str:
    names = [each.name for each in study.directions]
    return names[0] if len(names) == 1 else str(names)


def _tags(study: optuna.Study, direction: str) -> dict[str, str]:
    return {
        **{name: str(value) for name, value in study.user_attrs.items()},
        "study_name": study.study_name,
        "direction": direction,
        **{f"version.{package}": version_of(package) for package in _PACKAGES},
        "version.python": platform.python_version(),
    }


def _tags_of(direction: str, record: TrialRecord) -> dict[str, str]:
    """Returns the tags that MLflowCallback gives a trial."""
    trial: optuna.Trial = record.proposal.origin
    tags = {
        "number": str(trial.number),
        "state": _STATES[record.status].name,
        "direction": direction,
        "datetime_start": str(trial.datetime_start),
    }
    if record.settled is not None:
        tags["datetime_complete"] = str(datetime.datetime.fromtimestamp(record.settled))
    for name, distribution in trial.distributions.items():
        tags[f"{name}_distribution"] = str(distribution)
    for name, value in trial.user_attrs.items():
        tags[f"user.{name}" if name in _OURS else name] = str(value)
    return tags


def _summary_of(study: optuna.Study, counted: Mapping[Status, int]) -> SearchSummary:
    """Returns the counts of this run's trials, and the best of all trials of the study."""
    counts = {
        "successful": counted["success"],
        "failed": counted["failure"],
        "cancelled": counted["cancelled"],
        "pruned": counted["pruned"],
        "total": sum(counted.values()),
    }
    try:
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if not complete:
            return SearchSummary(counts)
        if len(study.directions) > 1:
            return SearchSummary(counts, documents={"best_trials.json": lambda: _best_trials(study)})
        try:
            best = study.best_trial
        except ValueError:
            # None of them meets the study's constraints.
            return SearchSummary(counts, described=lambda: descriptions_of(study))
        documents = {"best_trial.json": lambda: _facts_of(best)}
        return SearchSummary(
            counts,
            FinishedTrial(best.number, best.value, best.params),
            documents,
            lambda: descriptions_of(study),
        )
    except Exception as error:  # noqa: BLE001 - the study's storage raises what it likes
        _LOG.warning("best trial is not recorded", error)
        return SearchSummary(counts)


def _best_trials(study: optuna.Study) -> dict[str, Any]:
    return {str(trial.number): _facts_of(trial) for trial in study.best_trials}


def _facts_of(trial: optuna.trial.FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        **({VALUE: trial.value} if len(trial.values) == 1 else {"values": trial.values}),
        "params": trial.params,
        "user_attrs": trial.user_attrs,
    }
