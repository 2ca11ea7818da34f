"""Results of a search: its best point, its trials as a data frame, and as an Optuna study."""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING, Any

import hyperopt
from hyperopt.exceptions import AllTrialsFailed

from sparkopt.errors import SparkoptError
from sparkopt.hyperopt.described import DescribedSpace, TrialRun, description_of
from sparkopt.hyperopt.documents import Document
from sparkopt.hyperopt.no_loss import no_loss
from sparkopt.hyperopt.trial_counts import TrialCounts
from sparkopt.study.trial_description import TrialDescription

if TYPE_CHECKING:
    import pandas as pd

    from sparkopt.optuna.study_mirror import Study
    from sparkopt.study.trial_record import TrialRecord


class TrialResults(TrialCounts):
    """hyperopt's Trials that show what a search has found, as ``SparkTrials`` does."""

    _space: Any = None
    """The space of the last search; None before it, and in another process."""

    _described: tuple[Any, DescribedSpace] | None = None
    """A space, and its description; the space is None in another process."""

    _kept_best: tuple[Any] | None = None
    _runs: dict[int, tuple[Any, ...]]
    """By trial, the fields of a :class:`~sparkopt.hyperopt.described.TrialRun`."""

    def note_run(self, record: TrialRecord) -> None:
        """Note where a trial that has its final state ran, and for how long."""
        self._runs[record.tid] = (
            *(record.attempt, record.worker or "", record.host),
            *(record.started, record.settled, record.seconds),
        )

    @property
    def best_trial(self) -> Document:
        """The document of the trial with the smallest loss, of those of status ``ok``.

        Raises:
            AllTrialsFailedError: if none has a loss that is a number; hyperopt's ``AllTrialsFailed`` as well.

        Example:
            >>> trials.best_trial["result"]["status"]
            'ok'
        """
        try:
            best: Document = super().best_trial
        except AllTrialsFailed:
            raise no_loss(self._dynamic_trials) from None
        return best

    @property
    def best_params(self) -> Any:
        """The best trial's point of the space, as its objective got it: nested, with the options of choices.

        ``argmin`` has the indices of ``hp.choice`` in their place, and no nesting.

        Raises:
            hyperopt.exceptions.AllTrialsFailed: if no trial has a loss.
            SparkoptError: if the space is not known: before the first search, or because the best point did
                not pickle along with these trials.

        Example:
            >>> -5 <= trials.best_params <= 5  # of the space hp.uniform("x", -5, 5)
            True
        """
        if self._space is not None:
            return hyperopt.space_eval(self._space, self.argmin)
        if self._kept_best is None:
            raise SparkoptError(
                "best_params needs the space, which these trials do not know: no search has run since they"
                " were made or loaded. Use hyperopt.space_eval(space, trials.argmin)."
            )
        return self._kept_best[0]

    def described_space(self, space: Any = None) -> DescribedSpace:
        """Describe the space of the last search; the description is empty if no search has run.

        Args:
            space: the one to describe in its place.
        """
        if space is not None:
            return DescribedSpace.of(space)
        if self._described is None or self._described[0] is not self._space:
            self._described = self._space, _described(self._space)
        return self._described[1]

    def described(self, space: Any = None) -> list[TrialDescription]:
        """Describe the trials, failed and cancelled ones included, in the order of their documents.

        Args:
            space: of the search; by default that of the last one.
        """
        words = self.described_space(space)
        return [
            description_of(
                document, words, TrialRun(*run) if (run := self._runs.get(document["tid"])) else None
            )
            for document in self._dynamic_trials
        ]

    def to_pandas(self, space: Any = None) -> pd.DataFrame:
        """Make a data frame with a row for each trial, failed and cancelled ones included.

        Columns are ``tid``, ``state`` (pending, running, ok, failed, lost, pruned or cancelled), ``loss`` (of
        a pruned trial its last value, if that is on the loss's scale), ``params.LABEL`` for each label (of a
        choice the option; nothing where the label is not active), ``last_report``, ``seconds`` (in the
        objective), ``started`` and ``settled`` (of the last attempt, UTC), ``attempt`` (its number),
        ``worker``, ``host`` and ``error``. Trials of a journal that ran before this process have no seconds,
        attempt, worker and host.

        Args:
            space: of the search, if these trials do not know it; by default that of the last one.

        Example:
            >>> frame = trials.to_pandas()
            >>> best_first = frame.sort_values("loss")
            >>> len(best_first), bool(best_first["loss"].iloc[0] == frame["loss"].min())
            (30, True)
        """
        import pandas as pd

        described = self.described(space)
        labels = dict.fromkeys(self.described_space(space).dimensions)
        labels.update(dict.fromkeys(label for trial in described for label in trial.params))
        columns = {
            "tid": [trial.tid for trial in described],
            "state": [trial.state for trial in described],
            "loss": pd.Series(
                [trial.values[0] if trial.values else None for trial in described], dtype="float64"
            ),
            **{f"params.{label}": [trial.params.get(label) for trial in described] for label in labels},
            "last_report": pd.Series([_last(trial) for trial in described], dtype="float64"),
            "seconds": pd.Series([trial.seconds for trial in described], dtype="float64"),
            "started": pd.to_datetime(pd.Series([_time(trial.started) for trial in described]), utc=True),
            "settled": pd.to_datetime(pd.Series([_time(trial.settled) for trial in described]), utc=True),
            "attempt": pd.array([trial.attempt or None for trial in described], dtype="Int64"),
            "worker": [trial.worker for trial in described],
            "host": [trial.host for trial in described],
            "error": [trial.error for trial in described],
        }
        return pd.DataFrame(columns)

    def to_optuna(self, space: Any = None) -> Study:
        """Make an Optuna study of the trials, for Optuna's plots and importances. It needs Optuna.

        The study is in memory. Its parameters are the evaluated values by label, with the distributions of
        the space: of a choice the options, of a log-uniform distribution a logarithmic one. Optuna has no
        normal distributions: they are uniform ones that reach four standard deviations from the mean, or
        further to hold every value. Failed, lost and cancelled trials are FAIL, as is one whose loss is NaN;
        the user attributes ``tid``, ``state``, ``attempt``, ``worker``, ``host``, ``seconds`` and ``error``
        say more. Intermediate values of a trial are there once it has settled.

        Args:
            space: of the search, if these trials do not know it; by default that of the last one. Without one
                distributions are those that the values suggest.

        Raises:
            ModuleNotFoundError: if there is no Optuna.

        Example:
            >>> study = trials.to_optuna()
            >>> len(study.trials), list(study.best_params)
            (30, ['x'])
        """
        from sparkopt.hyperopt.optuna_bridge import study_of

        return study_of(self.described(space), self.described_space(space).dimensions.values())


def _described(space: Any) -> DescribedSpace:
    return DescribedSpace() if space is None else DescribedSpace.of(space)


def _last(trial: TrialDescription) -> float | None:
    return trial.reports[max(trial.reports)] if trial.reports else None


def _time(seconds: float | None) -> datetime.datetime | None:
    return None if seconds is None else datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc)
