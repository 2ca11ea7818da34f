"""ControlClient: the calls of a control service in Python."""

from __future__ import annotations

import operator
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from sparkopt.client.closing import Closing
from sparkopt.client.control_channel import ControlChannel
from sparkopt.client.conversion import (
    from_point,
    from_state,
    to_hyperparameter,
    to_status,
    to_story,
    to_study,
    to_trial,
    to_worker,
)
from sparkopt.client.evaluating import POINTS, Evaluations, Point
from sparkopt.client.event_watch import Watch
from sparkopt.client.stream import EvaluationStream
from sparkopt.client.views import (
    Hyperparameter,
    IntermediateValue,
    PoolStatus,
    Story,
    StudyInfo,
    TrialInfo,
    TrialState,
    WorkerInfo,
)
from sparkopt.errors import RefusedError
from sparkopt.wire.arguments import check_flag, check_number, refuse_type, refuse_value
from sparkopt.wire.v1 import control_pb2

_PAGE: Final = 500
_RECONNECT: Final = "a number of seconds from 0"


class ControlClient(Closing):
    """Watches, steers and drives a pool that was opened to control, from anywhere.

    Several threads may use it, and a ``with`` block closes it. Every method may raise
    :class:`~sparkopt.errors.UnreachableError` (nobody answers, or the pool is closing) and
    :class:`~sparkopt.errors.NotAuthorizedError` (the token is wrong, or read-only). Where a study may be
    named, None means the pool's only study that has not ended; there is a
    :class:`~sparkopt.errors.WrongStateError` if there are several, and a
    :class:`~sparkopt.errors.NotFoundError` if there is none, or none of that name.

    Example:
        >>> token = Path("sparkopt.token").read_text().strip()
        >>> with ControlClient(address, token=token) as client:  # such as "127.0.0.1:7727"
        ...     client.status().parallelism
        2

    Args:
        address: ``host:port`` of the service.
        token: the service's token: the control token, or the read-only one for calls that only look.
        ca_cert: certificate to trust: the service's own or that of the authority that signed it, as PEM or as
            a path. Needed off loopback, where the connection has to be TLS.
        timeout: seconds that a call may take.
        reconnect: seconds that a watch or an evaluation tries to reconnect when it has lost its connection.

    Raises:
        RefusedError: if an argument makes no sense, or the token would travel in the clear.
    """

    def __init__(
        self,
        address: str,
        *,
        token: str,
        ca_cert: str | Path | bytes | None = None,
        timeout: float = 30.0,
        reconnect: float = 60.0,
    ) -> None:
        patience = check_number("reconnect", reconnect, _RECONNECT)
        if patience < 0:
            refuse_value("reconnect", reconnect, _RECONNECT)
        self._link = ControlChannel(address, token, ca_cert, timeout)
        self._reconnect = patience

    def status(self) -> PoolStatus:
        """Ask for the state of the pool and its studies.

        Example:
            >>> [(study.name, study.trials.ok) for study in client.status().studies]
            [('study1', 30), ('study2', 2)]
        """
        return to_status(self._link.call(self._link.stub.GetStatus, control_pb2.GetStatusRequest()))

    def space(self, study: str | None = None) -> list[Hyperparameter]:
        """List the hyperparameters of a study, as far as its search has described them.

        Args:
            study: which.

        Raises:
            NotFoundError: if there is no such study.
            ControlError: if the pool is older than this call.

        Example:
            >>> [(each.label, each.low, each.high) for each in client.space("study1")]
            [('x', -5.0, 5.0)]
        """
        request = control_pb2.GetSpaceRequest(study=_study(study))
        response = self._link.call(self._link.stub.GetSpace, request)
        return [to_hyperparameter(each) for each in response.hyperparameters]

    def workers(self) -> list[WorkerInfo]:
        """List the workers that are not gone.

        Example:
            >>> sum(worker.trials for worker in client.workers())
            32
        """
        response = self._link.call(self._link.stub.ListWorkers, control_pb2.ListWorkersRequest())
        return [to_worker(worker) for worker in response.workers]

    def trials(
        self,
        study: str | None = None,
        *,
        states: Iterable[TrialState | str] = (),
        intermediate_values: bool = False,
    ) -> Iterator[TrialInfo]:
        """List trials in the order in which they were submitted, page by page.

        Args:
            study: the study whose trials to list; None for those of all studies.
            states: only trials in one of these states; all by default.
            intermediate_values: whether their intermediate values come with them. The pool keeps up to four
                million values of trials that have settled.

        Raises:
            RefusedError: if there is no such state, or ``intermediate_values`` is not a bool.

        Example:
            >>> best = min(client.trials("study2", states=["ok"]), key=lambda trial: trial.loss)
            >>> best.values, best.loss
            ({'x': 2}, 1.0)
        """
        try:
            # One text is an iterable of letters, and meant is that one state.
            wanted = [from_state(state) for state in ([states] if isinstance(states, str) else states)]
        except TypeError:
            refuse_type("states", states, "an iterable of states")
        except ValueError as error:
            raise RefusedError(f"{error}; there are {', '.join(list(TrialState)[:-1])}") from None
        with_values = check_flag("intermediate_values", intermediate_values)
        return self._pages(
            control_pb2.ListTrialsRequest(
                study=_study(study), states=wanted, page_size=_PAGE, intermediate_values=with_values
            )
        )

    def _pages(self, request: control_pb2.ListTrialsRequest) -> Iterator[TrialInfo]:
        while True:
            response = self._link.call(self._link.stub.ListTrials, request)
            yield from (to_trial(trial) for trial in response.trials)
            if not response.next_page_token:
                return
            request.page_token = response.next_page_token

    def watch(self, after: int | None = None, study: str | None = None, values: bool = False) -> Watch:
        """Watch the pool: every event once, in order, until the pool closes.

        It has begun when this returns. A connection that is lost is made again by itself.

        Args:
            after: begin after the event of this number, with 0 at the first one; by default now.
            study: the study whose events come; None for those of all studies. Events of the pool and its
                workers always come.
            values: have intermediate values of running trials come, too: of each the newest, at most ten a
                second. They are not kept: those of the time in which a connection was lost do not come.

        Raises:
            RefusedError: if ``after`` is not a number of an event, or an argument makes no sense.
            EventsForgottenError: if the events after ``after`` are no longer kept.
            LimitExceededError: if this host has too many streams open.

        Example:
            >>> with client.watch(after=0) as events:
            ...     settled = next(event for event in events if event.kind == "settled")
            >>> settled.trial.study, settled.trial.state.value
            ('study1', 'ok')
        """
        if after is not None:
            after = _whole("after", after, 64, least=0)
        return Watch(self._link, after, _study(study), self._reconnect, check_flag("values", values))

    def story(self, about: int | str, study: str | None = None) -> Story:
        """Return what the pool has recorded of a trial or a worker: events, and the pool's commands.

        Args:
            about: the number of a trial, or the name of a worker.
            study: the trial's study.

        Raises:
            RefusedError: if ``about`` is neither, or a study is named with a worker.
            NotFoundError: if the study has no such trial, or no such worker is there or remembered.

        Example:
            >>> print(client.story(0, "study2").lines[0].text)  # doctest: +ELLIPSIS
            TrialsSubmitted(...)
        """
        if isinstance(about, str):
            if study is not None:
                raise RefusedError(f"a worker belongs to no study: ask for {about!r} without one")
            request = control_pb2.GetStoryRequest(worker=about)
        else:
            request = control_pb2.GetStoryRequest(study=_study(study), tid=_whole("about", about, 64))
        return to_story(self._link.call(self._link.stub.GetStory, request))

    def pause(self) -> PoolStatus:
        """Have no trial leased to a worker until :meth:`resume`; running trials go on. Idempotent.

        Example:
            >>> client.pause().paused, client.resume().paused
            (True, False)
        """
        return to_status(self._link.call(self._link.stub.Pause, control_pb2.PauseRequest()))

    def resume(self) -> PoolStatus:
        """Have trials leased again, as after :meth:`pause`. Idempotent."""
        return to_status(self._link.call(self._link.stub.Resume, control_pb2.ResumeRequest()))

    def set_parallelism(self, parallelism: int) -> PoolStatus:
        """Change how many trials may run at once, over all studies of the pool.

        The change holds when this returns. If the number is smaller, running trials finish, and none starts
        until there is room.

        Args:
            parallelism: from 1 to the status' ``max_parallelism``.

        Raises:
            BadRequestError: if it is not in that range.

        Example:
            >>> client.set_parallelism(1).parallelism
            1
            >>> client.set_parallelism(client.status().max_parallelism).parallelism
            2
        """
        request = control_pb2.SetParallelismRequest(parallelism=_whole("parallelism", parallelism, 32))
        return to_status(self._link.call(self._link.stub.SetParallelism, request))

    def cancel_trial(
        self, tid: int, study: str | None = None, reason: str = "", prune: bool = False
    ) -> TrialInfo:
        """End one trial, waiting or running; it settles as cancelled, unless it ends by itself before that.

        Args:
            tid: its number.
            study: its study.
            reason: goes into the trial's record; at most 1,000 characters.
            prune: have it stop as pruned instead, if it runs: its objective is told so at its next report,
                and is ended only if it goes on. A pool that is older than this client cancels it.

        Returns:
            The trial as it is now: of one that has settled nothing changes.

        Raises:
            NotFoundError: if the study has no such trial.
            BadRequestError: if the reason is too long.

        Example:
            >>> client.cancel_trial(0, "study1", "it takes too long").state.value  # it had ended before
            'ok'
        """
        request = control_pb2.CancelTrialRequest(
            study=_study(study),
            tid=_whole("tid", tid, 64),
            reason=_text("reason", reason),
            prune=check_flag("prune", prune),
        )
        return to_trial(self._link.call(self._link.stub.CancelTrial, request))

    def stop(self, study: str | None = None, finish_running: bool = False) -> StudyInfo:
        """End a study: what waits is cancelled, what has finished is kept, and its ``fmin`` returns the best.

        Args:
            study: which.
            finish_running: let what runs finish first; otherwise it is cancelled too.

        Raises:
            NotFoundError: if there is no such study.

        Example:
            >>> client.stop("study2", finish_running=True).name
            'study2'
        """
        request = control_pb2.StopStudyRequest(
            study=_study(study), finish_running=check_flag("finish_running", finish_running)
        )
        return to_study(self._link.call(self._link.stub.StopStudy, request))

    def drain_worker(self, worker: str) -> WorkerInfo:
        """Give a worker nothing more; it leaves when its trial has ended.

        Args:
            worker: its name.

        Raises:
            NotFoundError: if there is none of that name.

        Example:
            >>> first = client.workers()[0]
            >>> client.drain_worker(first.name).name == first.name
            True
        """
        request = control_pb2.DrainWorkerRequest(worker=_text("worker", worker))
        return to_worker(self._link.call(self._link.stub.DrainWorker, request))

    def submit(self, points: Sequence[Mapping[str, Any]], study: str | None = None) -> list[int]:
        """Have a running search evaluate these points next, before what its algorithm proposes.

        Args:
            points: 1 to 1,000; a value for each label of the space that is active, and of ``hp.choice`` the
                index.
            study: which search.

        Returns:
            The numbers of their trials, in the order of the points.

        Raises:
            RefusedError: if JSON cannot represent a point.
            BadRequestError: if one is not a point of the space: then none is submitted.
            WrongStateError: if the study is evaluated from outside, or is ending.
        """
        if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, Iterable):
            refuse_type("points", points, POINTS)
        request = control_pb2.SubmitTrialsRequest(study=_study(study), points=map(from_point, points))
        return list(self._link.call(self._link.stub.SubmitTrials, request).tids)

    def evaluate(
        self,
        points: Iterable[Point] | AsyncIterable[Point],
        *,
        study: str | None = None,
        in_flight: int | None = None,
        on_value: Callable[[str, IntermediateValue], None] | None = None,
    ) -> Evaluations:
        """Evaluate points on the pool's workers; the result iterates over their outcomes as they complete.

        The points may come from a generator that looks at the outcomes so far: the next one is asked for when
        fewer than ``in_flight`` are without an outcome that was taken. A connection that is lost is made
        again by itself; no point is run twice for that, and no outcome lost. The result is an iterator and an
        async iterator.

        Args:
            points: each a value for each hyperparameter, or a pair of an id and that; an iterable or an async
                one. An id is unique within the study: one that the service has seen is answered and not run
                again.
            study: one that is evaluated from outside.
            in_flight: how many points may be without an outcome. By default, for a list what the service
                takes in at once; for anything else one more than the trials that can run at once, so that
                proposals know as much as they can and no worker waits.
            on_value: called with the id of a point that runs and its newest intermediate value, at most ten
                times a second for each point, from a thread of the client's: it should return soon.

        Raises:
            RefusedError: if an argument makes no sense.

        Example:
            >>> outcomes = client.evaluate([{"x": 3}, {"x": 4}])
            >>> sorted((each.point["x"], each.loss) for each in outcomes)
            [(3, 4.0), (4, 9.0)]
        """
        return Evaluations(
            self.evaluation(study, on_value), points, in_flight, lambda: self.status().max_parallelism + 1
        )

    def evaluation(
        self, study: str | None = None, on_value: Callable[[str, IntermediateValue], None] | None = None
    ) -> EvaluationStream:
        """Open an evaluation for use call by call.

        Its ``submit(point)`` sends a point, and its ``next()`` waits for an outcome.

        Args:
            study: one that is evaluated from outside.
            on_value: see :meth:`evaluate`.

        Raises:
            RefusedError: if ``on_value`` cannot be called.
        """
        if on_value is not None and not callable(on_value):
            refuse_type("on_value", on_value, "None or a function of an id and an intermediate value")
        return EvaluationStream(self._link, _study(study), self._reconnect, on_value)

    def close(self) -> None:
        """End all calls, watches and evaluations, and the connection. Idempotent."""
        self._link.close()

    def __repr__(self) -> str:
        return f"ControlClient({self._link.address!r})"


def _study(name: str | None) -> str:
    """Name of a study in a request, where an empty name stands for the pool's only study."""
    return "" if name is None else _text("study", name, "None or the name of a study")


def _text(name: str, value: str, expected: str = "text") -> str:
    if not isinstance(value, str):
        refuse_type(name, value, expected)
    return value


def _whole(name: str, value: int, bits: int, least: int | None = None) -> int:
    """A whole number, as far as the wire can carry it."""
    try:
        number = None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise RefusedError(f"{name} must be a whole number, got {value!r}")
    if not -(2 ** (bits - 1)) <= number < 2 ** (bits - 1):
        raise RefusedError(f"{name} must be a whole number of {bits} bits, got {value}")
    if least is not None and number < least:
        raise RefusedError(f"{name} must be at least {least}, got {value}")
    return number
