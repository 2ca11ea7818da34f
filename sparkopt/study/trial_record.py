"""Records of a study's trials, from the proposal to the final state, the same for every front end.

    Proposal ──▶ TrialRecord ── started ──▶ attempt, started ── settled ──▶ outcome, loss or error
                                   └── reported ──▶ reports, while it runs

The study fills a record in, except for what only the front end can read: the loss, the metrics and the fault
of a result. Listeners read records and change nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from sparkopt.core.states import Outcome
from sparkopt.errors import RefusedError, TrialCancelledError, TrialLostError

if TYPE_CHECKING:
    from sparkopt.coordinator import AttemptValues, Settled
    from sparkopt.study.journal import Entry
    from sparkopt.wire.value_series import ValueSeries

Status = Literal["success", "failure", "pruned", "cancelled"]
"""How a trial has ended, in a word."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A trial before it runs.

    Attributes:
        tid: the trial's number, which no other trial of the study has; any integer from 0, gaps allowed.
        values: by label.
        origin: the front end's own object for the trial, if it has one. The study hands it on in the trial's
            record, and does not look inside.
    """

    tid: int
    values: Mapping[str, Any]
    origin: Any = None


class TrialNumbers:
    """Numbers of a study's trials, of which no two have the same."""

    def __init__(self) -> None:
        self._taken: set[int] = set()

    def take(self, proposals: Iterable[Proposal]) -> None:
        """Note the numbers of new trials.

        Raises:
            RefusedError: if another trial of the study has one of them.
        """
        taken = self._taken
        for proposal in proposals:
            if proposal.tid in taken:
                raise RefusedError(f"the proposer gives the number {proposal.tid} to a second trial")
            taken.add(proposal.tid)


@dataclass(frozen=True, slots=True)
class TrialError:
    """Error that a trial ended with.

    Attributes:
        kind: its type, as Python writes a class: ``<class 'ValueError'>``.
        text: its traceback, or the reason.
    """

    kind: str
    text: str


@dataclass(slots=True)
class TrialRecord:
    """A trial of a study.

    Attributes:
        proposal: the trial before it ran.
        outcome: how the last attempt ended, OK also if what it returned is not a result (see :attr:`status`);
            None as long as the trial has not settled.
        error: why there is no result; None if there is one, the trial was pruned, or it has not settled.
        loss: of the result, NaN perhaps; None if there is none.
        fault: what the result says of itself if the trial has failed although it returned: ``status 'fail'``.
        metrics: names and values of the numbers in the result.
        left_out: names of the numbers that no float can hold, each with the reason.
        attempt: number of the attempt that runs or has settled the trial; 0 if it has not run.
        worker: which worker settled it, if any.
        host: where that worker runs, if it is connected.
        gpus: addresses of the GPUs that the trial saw there, if Spark gave the worker any.
        started: when the attempt was sent to a worker, in seconds since the epoch; None if none was.
        settled: when the trial settled, in seconds since the epoch; None if it has not, or was cancelled
            before the pool had it.
        seconds: time spent in the objective.
        reports: intermediate values that its objective has reported; None if it has reported none. A later
            attempt's replace an earlier one's, from its first step on.
        is_final: whether the front end has taken the trial's end in.
    """

    proposal: Proposal
    outcome: Outcome | None = None
    error: TrialError | None = None
    loss: float | None = None
    fault: str = ""
    metrics: Sequence[tuple[str, float]] = ()
    left_out: Sequence[tuple[str, str]] = ()
    attempt: int = 0
    worker: str | None = None
    host: str = ""
    gpus: tuple[str, ...] = ()
    started: float | None = None
    settled: float | None = None
    seconds: float = 0.0
    reports: ValueSeries | None = None
    _reporting: int = field(default=0, repr=False)
    is_final: bool = field(default=False, repr=False)

    @property
    def tid(self) -> int:
        """The trial's number."""
        return self.proposal.tid

    @property
    def values(self) -> Mapping[str, Any]:
        """Values that the trial was proposed with, by label."""
        return self.proposal.values

    @property
    def has_result(self) -> bool:
        """True if the trial settled with a result, also one that says of itself that the trial has failed."""
        return self.outcome is Outcome.OK and self.error is None

    @property
    def status(self) -> Status:
        """Status of a trial that has ended."""
        if self.outcome is Outcome.CANCELLED:
            return "cancelled"
        if self.outcome is Outcome.PRUNED:
            return "pruned"
        return "success" if self.has_result and not self.fault else "failure"

    # The study's.

    def settle(self, settled: Settled) -> None:
        """Note what the pool says of the trial."""
        self.outcome = settled.outcome
        self.attempt, self.worker = settled.attempt, settled.worker
        self.host, self.gpus = settled.host, settled.gpus
        self.settled, self.seconds = settled.time, settled.seconds
        if settled.outcome is Outcome.CANCELLED:
            self.error = TrialError(str(TrialCancelledError), settled.reason)
        elif settled.outcome is Outcome.LOST:
            self.error = TrialError(str(TrialLostError), settled.reason)
        elif settled.outcome is Outcome.FAILED:
            failure = settled.failure
            assert failure is not None
            self.error = TrialError(f"<class '{failure.type}'>", failure.traceback or failure.message)

    def take_values(self, gathered: AttemptValues) -> None:
        """Note intermediate values."""
        series = gathered.series
        if self.reports is None:
            self.reports = series
        elif gathered.attempt != self._reporting:
            # An attempt that goes on from a checkpoint keeps the earlier attempt's values before its first
            # step.
            self.reports = self.reports.before(series.steps[0])
            self.reports.extend(series.steps, series.values)
        else:
            self.reports.extend(series.steps, series.values)
        self._reporting = gathered.attempt

    def settle_again(self, entry: Entry) -> None:
        """Note what the journal has of the trial."""
        self.outcome, self.settled, self.reports = entry.outcome, entry.settled, entry.values
        if entry.outcome is Outcome.LOST:
            self.error = TrialError(str(TrialLostError), entry.reason)
        elif entry.outcome is Outcome.FAILED:
            self.error = TrialError(f"<class '{entry.kind}'>", entry.reason)

    def cancel(self, reason: str) -> None:
        """Note that the trial was cancelled before the pool said anything of it."""
        self.outcome, self.error = Outcome.CANCELLED, TrialError(str(TrialCancelledError), reason)
