"""One stream of points and their outcomes, whatever becomes of the connection below it.

    submit ──▶ unanswered, by id ──▶ outbox ──▶ gRPC's thread ──▶ service
    next   ◀── arrived            ◀── the reader, a thread of ours ◀──┘
                                       opens the call, and opens it again

The call is opened when there is something to send: a service ends those that say nothing. When it is cut,
another one begins with all that is unanswered, under the same ids, which the service answers without running
it again.
"""

from __future__ import annotations

import contextlib
import math
import queue
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final

import grpc

from sparkopt.client.backoff import Backoff, passes
from sparkopt.client.closing import Closing
from sparkopt.client.control_channel import ControlChannel
from sparkopt.client.conversion import from_point, to_evaluation, to_value
from sparkopt.client.views import Evaluation, IntermediateValue
from sparkopt.errors import ControlError, RefusedError, UnreachableError
from sparkopt.wire.limits import INTERRUPT_SECONDS
from sparkopt.wire.v1 import control_pb2

_WINDOW: Final = "sparkopt-window"
_JOIN_SECONDS: Final = 5.0


class EvaluationStream(Closing):
    """Points in, outcomes out, in the order in which they complete. Safe to use from several threads.

    Made by :meth:`~sparkopt.ControlClient.evaluation`; a context manager that closes it.

    Example:
        >>> with client.evaluation() as evaluation:
        ...     _ = evaluation.submit({"x": 1.5})
        ...     print(evaluation.next().loss)
        0.25

    Args:
        link: to the service.
        study: to evaluate in; empty for the pool's only one.
        patience: seconds that it tries to reach the service again.
        on_value: takes intermediate values of points that run, in the reader's thread; None for none.

    Attributes:
        window: how many unanswered points the service takes in at once; None before it has said so.
    """

    def __init__(
        self,
        link: ControlChannel,
        study: str,
        patience: float,
        on_value: Callable[[str, IntermediateValue], None] | None = None,
    ) -> None:
        self._link, self._study, self._on_value = link, study, on_value
        self._backoff = Backoff(patience)
        self._prefix, self._made = uuid.uuid4().hex[:16], 0
        self.window: int | None = None
        self._changed = threading.Condition()
        self._unanswered: dict[str, tuple[control_pb2.EvaluateRequest, Mapping[str, Any]]] = {}
        self._arrived: deque[tuple[control_pb2.EvaluateResponse, Mapping[str, Any]]] = deque()
        self._outbox: queue.SimpleQueue[control_pb2.EvaluateRequest | None] | None = None
        self._call: Any = None
        self._stood = False
        self._finished = self._closed = False
        self._error: ControlError | None = None
        self._wakers: list[Callable[[], None]] = []
        self._reader: threading.Thread | None = None

    @property
    def outstanding(self) -> int:
        """Number of points that were submitted and whose outcomes were not taken."""
        with self._changed:
            return len(self._unanswered) + len(self._arrived)

    def submit(self, point: Mapping[str, Any], id: str | None = None) -> str:
        """Have a point evaluated; does not wait for anything.

        Args:
            point: a value for each label; numpy's scalars and arrays are numbers and lists.
            id: unique within the study, at most 200 characters: one that the service has seen is not run
                again, but answered with its outcome. By default a new one.

        Returns:
            The id.

        Raises:
            RefusedError: if JSON cannot represent the point, or its id is unanswered in this stream.
            ControlError: what has ended the stream.
        """
        message = from_point(point)
        if id is not None and not (isinstance(id, str) and id):
            raise RefusedError(f"an id must be text, and not empty, got {id!r}")
        with self._changed:
            if self._error is not None:
                raise self._error
            if self._finished or self._closed:
                raise RefusedError("no point can be submitted after finish() or close()")
            if id is None:
                id, self._made = f"{self._prefix}-{self._made}", self._made + 1
            if id in self._unanswered:
                raise RefusedError(f"the id {id!r} is that of a point that was not answered yet")
            wants_values = self._on_value is not None
            request = control_pb2.EvaluateRequest(
                id=id, point=message, study=self._study, values=wants_values
            )
            self._unanswered[id] = request, point
            if self._outbox is not None:
                self._outbox.put(request)
            if self._reader is None:
                self._reader = threading.Thread(target=self._read, name="sparkopt-evaluation", daemon=True)
                self._reader.start()
            self._changed.notify_all()
        return id

    def next(self, timeout: float | None = None) -> Evaluation:
        """Wait for the next outcome.

        Args:
            timeout: seconds to wait at most; None for no limit.

        Raises:
            TimeoutError: if none came in that time.
            RefusedError: if there is nothing to wait for.
            NotAuthorizedError: if the token is not good, or good for reading only.
            WrongStateError: if the study is a search.
            StudyStoppedError: if the study was stopped.
            UnreachableError: if the pool has closed, or could not be reached again.
        """
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        with self._changed:
            while (evaluation := self._take()) is None:
                if not self._unanswered:
                    raise RefusedError(
                        "there is nothing to wait for: each point that was submitted is answered"
                    )
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"no outcome came within {timeout:g} s")
                self._changed.wait(min(left, INTERRUPT_SECONDS))
            return evaluation

    def take(self) -> Evaluation | None:
        """The next outcome, if it is here; raises as :meth:`next` does."""
        with self._changed:
            return self._take()

    def _take(self) -> Evaluation | None:
        if self._arrived:
            return to_evaluation(*self._arrived.popleft())
        if self._error is not None:
            raise self._error
        if self._closed and self._unanswered:
            raise RefusedError("the stream was closed; what is unanswered can be asked for again by its ids")
        return None

    def on_change(self, waker: Callable[[], None]) -> None:
        """Have this called, from another thread, whenever :meth:`take` may say something new."""
        with self._changed:
            self._wakers.append(waker)

    def finish(self) -> None:
        """Say that no more points come; the rest is still answered. Idempotent."""
        with self._changed:
            self._finished = True
            if self._outbox is not None:
                self._outbox.put(None)
            self._changed.notify_all()

    def close(self) -> None:
        """End the stream. Idempotent.

        What runs goes on, and its outcome is kept for clients that ask by its id.
        """
        with self._changed:
            self._closed = True
            if self._call is not None:
                self._call.cancel()
            self._tell()
        # Garbage may be collected in any thread, the reader's too.
        if self._reader is not None and self._reader is not threading.current_thread():
            self._reader.join(_JOIN_SECONDS)

    def __repr__(self) -> str:
        return f"<EvaluationStream to {self._link.address}, {self.outstanding} points outstanding>"

    # The reader's thread.

    def _read(self) -> None:
        while (outbox := self._next_outbox()) is not None:
            error = self._converse(outbox)
            with self._changed:
                self._call = self._outbox = None
                if self._closed or (error is None and self._finished and not self._unanswered):
                    return
                if not self._unanswered and (error is None or passes(error)):
                    continue  # nothing is lost; the next point opens a call
                error = error or UnreachableError(
                    f"{self._link.address} has ended the stream with {len(self._unanswered)} points to answer"
                )
                wait = self._backoff.next() if self._stood and passes(error) else None
                if wait is None:
                    self._error = error
                    self._tell()
                    return
                self._changed.wait_for(lambda: self._closed, wait)

    def _next_outbox(self) -> queue.SimpleQueue[control_pb2.EvaluateRequest | None] | None:
        """Wait until there is something to send; what is to be sent first, or None at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._unanswered or self._finished or self._closed)
            if self._closed or not self._unanswered:
                return None
            outbox = self._outbox = queue.SimpleQueue()
            for request, _ in self._unanswered.values():
                outbox.put(request)
            if self._finished:
                outbox.put(None)
            return outbox

    def _converse(self, outbox: queue.SimpleQueue[control_pb2.EvaluateRequest | None]) -> ControlError | None:
        """Send and hear until the call ends; how it ended, None if well."""
        try:
            call = self._link.stub.Evaluate(iter(outbox.get, None), metadata=self._link.metadata)
        except ValueError:  # gRPC's word for a channel that was closed
            return self._link.closed()
        with self._changed:
            self._call = call
            if self._closed:
                call.cancel()
        try:
            for key, value in call.initial_metadata() or ():
                if key == _WINDOW and value.isdigit():
                    self.window, self._stood = int(value), True
                    self._backoff.reset()
            for response in call:
                self._stood = True
                if not response.HasField("value"):
                    self._heard(response)
                elif self._on_value is not None and (error := self._tell_value(response)) is not None:
                    call.cancel()
                    return error
        except grpc.RpcError as error:
            return self._link.error(error)
        finally:
            outbox.put(None)  # lets gRPC's thread go
        return None

    def _tell_value(self, response: control_pb2.EvaluateResponse) -> ControlError | None:
        """Have the client take a value; what its function raises ends the stream."""
        assert self._on_value is not None
        try:
            self._on_value(response.id, to_value(response.value))
        except Exception as raised:  # noqa: BLE001 - code of the user's
            error = ControlError(f"on_value has raised {type(raised).__name__}: {raised}")
            error.__cause__ = raised
            return error
        return None

    def _heard(self, response: control_pb2.EvaluateResponse) -> None:
        with self._changed:
            asked = self._unanswered.pop(response.id, None)
            if asked is None:
                return
            self._backoff.reset()
            self._arrived.append((response, asked[1]))
            self._tell()

    def _tell(self) -> None:
        self._changed.notify_all()
        for waker in self._wakers:
            with contextlib.suppress(RuntimeError):  # the loop that it would wake is closed
                waker()
