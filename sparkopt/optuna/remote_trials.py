"""RemoteTrials: trials of Optuna's loop that run on workers, and the proposer of the study that has them run.

    Optuna's thread   optuna.Trial ──▶ run ─── waits ─── serves requests ─── waits ──▶ value or exception
                                        │                    ▲        │                       ▲
                                        ▼                    │        ▼ reply                 │
    study's thread                 propose                   │                              finish
    coordinator's thread                                   serve

So each call of Optuna's comes from the thread that Optuna itself runs the trial in, and a storage or sampler
that is slow holds up no other trial, neither heartbeats nor the study.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Final

import optuna

from sparkopt import errors
from sparkopt.core.states import Outcome
from sparkopt.errors import ObjectiveError, RemoteTraceback, TrialCancelledError, TrialLostError
from sparkopt.optuna.returned_values import as_floats, fault_of, metrics_of, numbers_of
from sparkopt.optuna.trial_desk import Desk
from sparkopt.study import quarantine
from sparkopt.study.failures import gist
from sparkopt.study.proposer import DONE, WAIT, NoProposal, Proposer
from sparkopt.study.quarantine import ForeignError
from sparkopt.study.study_spec import StopReasons
from sparkopt.study.trial_record import Proposal, TrialError
from sparkopt.wire import codec
from sparkopt.wire.limits import INTERRUPT_SECONDS

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparkopt.coordinator import Payload, Request, StudyChannel
    from sparkopt.study.proposer import Reply
    from sparkopt.study.trial_record import TrialRecord

_INTERRUPTED: Final = "the search was interrupted"


class SuggestedValues(Mapping[str, Any]):
    """Parameters of a trial by name, more of them as they are suggested. One thread adds, any may read."""

    def __init__(self) -> None:
        self._values: dict[str, Any] = {}

    def add(self, name: str, value: Any) -> None:
        """Add a parameter."""
        self._values = {**self._values, name: value}

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


class _Visit:
    """A trial of Optuna's, for as long as it runs on workers.

    Attributes:
        values: its parameters.
        inbox: what it has to serve; at its end a value, or an exception.
        raised: what its objective has raised, once that is here.

    Args:
        trial: Optuna's.
    """

    def __init__(self, trial: optuna.Trial) -> None:
        self.trial = trial
        self.values = SuggestedValues()
        self.inbox: SimpleQueue[tuple[Request, Reply] | _End] = SimpleQueue()
        self.raised: BaseException | None = None


class _End:
    """End of a trial.

    Args:
        value: what its objective has returned.
        error: what to raise instead.
    """

    def __init__(self, value: Any = None, error: Exception | None = None) -> None:
        self.value = value
        self.error = error


class RemoteTrials(Proposer):
    """Runs the trials of Optuna's loop on workers.

    Args:
        signs: for each objective 1 if it is minimized, else -1.
        channel: of the study.
        amended: called with a trial's number, from any thread, when one more of its parameters is known; None
            if nobody wants to know.
    """

    def __init__(
        self, signs: tuple[int, ...], channel: StudyChannel, amended: Callable[[int], None] | None = None
    ) -> None:
        self._signs = signs
        self._channel = channel
        self._amended = amended
        self._desk = Desk()
        self._lock = threading.Lock()
        self._visits: dict[int, _Visit] = {}
        self._waiting: deque[Proposal] = deque()
        self._closed: Exception | None = None
        self._done = False
        self._broken = StopReasons().error

    # In Optuna's threads.

    def run(self, trial: optuna.Trial) -> Any:
        """Run a trial on a worker, and return what its objective returns there or raise what it raises.

        Raises:
            TrialError: if its objective has neither returned nor raised.
            ObjectiveError: if what it has raised cannot be raised here.
            SparkoptError: what has ended the study.
        """
        visit, tid = _Visit(trial), trial.number
        try:
            self._submit(tid, visit)
            return self._serve(visit)
        except BaseException as error:
            if not isinstance(error, Exception):
                self._channel.cancel(tid, _INTERRUPTED)
            raise
        finally:
            with self._lock:
                self._visits.pop(tid, None)
            if self._channel.stop is not None:
                trial.study.stop()

    def _submit(self, tid: int, visit: _Visit) -> None:
        with self._lock:
            if self._closed is not None:
                raise self._closed
            self._visits[tid] = visit
            self._waiting.append(Proposal(tid, visit.values, visit.trial))
        self._channel.wake()

    def _serve(self, visit: _Visit) -> Any:
        add, amended, tid = visit.values.add, self._amended, visit.trial.number

        def add_and_tell(name: str, value: Any) -> None:
            add(name, value)
            assert amended is not None
            amended(tid)

        suggested = add if amended is None else add_and_tell
        while True:
            try:
                item = visit.inbox.get(timeout=INTERRUPT_SECONDS)
            except Empty:
                continue
            if isinstance(item, _End):
                if item.error is not None:
                    raise item.error
                return item.value
            request, reply = item
            reply(self._desk.answer(visit.trial, request.method, request.body, suggested))

    def end(self) -> None:
        """Optuna's loop has ended: nothing more is proposed."""
        self._done = True
        self._channel.wake()

    # In the study's thread.

    def close(self, error: Exception | None) -> None:
        """The study has ended: nothing runs any more.

        Args:
            error: what has ended it; None if it has ended by itself.
        """
        with self._lock:
            self._closed = error or TrialCancelledError("the study was stopped")
            left, self._visits = [*self._visits.values()], {}
            self._waiting.clear()
        for visit in left:
            visit.inbox.put(_End(error=self._closed))

    def propose(self, count: int) -> Sequence[Proposal] | NoProposal:
        """Return the trials that Optuna's threads have."""
        with self._lock:
            proposals = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        return proposals or (DONE if self._done else WAIT)

    def withdraw(self, proposals: Sequence[Proposal]) -> None:
        """Have these trials end as cancelled: the study was stopped."""
        for proposal in proposals:
            self._end(proposal.tid, _End(error=TrialCancelledError("the study was stopped")))

    def argument(self, proposal: Proposal) -> bytes:
        """Return the trial's number, pickled: everything else is asked for."""
        return codec.dumps(proposal.tid)

    def raised(self, record: TrialRecord, exception: Payload) -> None:
        """Unpickle what an objective has raised, so that Optuna can catch it by its class."""
        try:
            error = quarantine.load(exception, lambda value: value)
        except Exception:  # noqa: BLE001 - code of the user's; its text has to do
            return
        with self._lock:
            visit = self._visits.get(record.tid)
        if visit is not None and isinstance(error, Exception):
            visit.raised = error

    def finish(self, record: TrialRecord, result: Payload | None) -> None:
        """Read a trial's result, and have Optuna's thread go on with it."""
        end = self._end_of(record, result)
        if (
            record.outcome is Outcome.CANCELLED
            and record.error is not None
            and record.error.text == self._broken
        ):
            return  # close follows, and has the error: Optuna is to start no other trial meanwhile
        self._end(record.tid, end)

    def _end(self, tid: int, end: _End) -> None:
        with self._lock:
            visit = self._visits.get(tid)
        if visit is not None:
            visit.inbox.put(end)

    def _end_of(self, record: TrialRecord, result: Payload | None) -> _End:
        if record.outcome is Outcome.PRUNED:
            return _End(error=optuna.TrialPruned())
        if record.error is not None:
            with self._lock:
                visit = self._visits.get(record.tid)
            return _End(error=_exception_of(record, None if visit is None else visit.raised))
        try:
            value = quarantine.load(result, as_floats)
        except ForeignError as error:
            record.error = TrialError(error.kind, error.traceback.text)
            return _End(error=_exception_of(record, error.error))
        numbers = numbers_of(value, len(self._signs))
        if numbers is None:
            record.fault = fault_of(len(self._signs), value)
            return _End(value)
        record.metrics = metrics_of(numbers)
        if len(numbers) == 1:
            record.loss = self._signs[0] * numbers[0]
        return _End(value)

    # In the coordinator's thread.

    def serve(self, request: Request, reply: Reply) -> None:
        """Have the trial's thread answer what the trial asks."""
        with self._lock:
            visit = self._visits.get(request.tid)
        if visit is not None:
            visit.inbox.put((request, reply))
            return
        if isinstance(request.body, Path):
            request.body.unlink(missing_ok=True)
        reply(failure="Optuna's loop has ended, and knows nothing of this trial any more")


def _exception_of(record: TrialRecord, raised: BaseException | None) -> Exception:
    """Returns what to raise for a trial that has an error."""
    assert record.error is not None
    kind, text = record.error.kind, record.error.text
    if record.outcome is Outcome.LOST:
        return TrialLostError(text)
    if record.outcome is Outcome.CANCELLED:
        return TrialCancelledError(text)
    if isinstance(raised, Exception):
        raised.__cause__ = RemoteTraceback(text)
        return raised
    own = _OWN.get(kind)
    return ObjectiveError(f"the objective has raised {gist(kind, text)}") if own is None else own(text)


_OWN: Final[Mapping[str, Callable[[str], Exception]]] = {
    str(kind): kind for kind in (errors.EvaluatorDiedError, errors.StorageError, errors.TrialTimeoutError)
}
"""Errors of trials whose objectives did not end them, by the names that the worker has for them."""
