"""Watching a pool: its events as an iterator that outlives the connection."""

from __future__ import annotations

import threading
from typing import Any, Final

import grpc

from sparkopt.client.backoff import Backoff, passes
from sparkopt.client.closing import Closing
from sparkopt.client.control_channel import ControlChannel
from sparkopt.client.conversion import to_event
from sparkopt.client.views import Event
from sparkopt.errors import ControlError, UnreachableError
from sparkopt.wire.v1 import control_pb2

_POOL_CLOSED: Final = "POOL_CLOSED"


class Watch(Closing):
    """The events of a pool, in order and each once, until the pool closes.

    A connection that is lost is made again, and goes on after the last event that was taken. Made by
    :meth:`~sparkopt.ControlClient.watch`; also a context manager that ends it.

    Args:
        link: to the service.
        after: the number of the event to begin after; None for now.
        study: the study whose events come; empty for all.
        patience: seconds that it tries to reach the service again.
        values: whether intermediate values come, too.

    Attributes:
        last: number of the last event that was taken; the next one has the number after it.

    Raises:
        ControlError: if the watch could not begin.
    """

    def __init__(
        self, link: ControlChannel, after: int | None, study: str, patience: float, values: bool = False
    ) -> None:
        self._link, self._study, self._values = link, study, values
        self._backoff = Backoff(patience)
        self._closed = threading.Event()
        self.last = after or 0
        self._pool = ""
        self._call = self._begin(after)

    def _begin(self, after: int | None) -> Any:
        request = control_pb2.WatchEventsRequest(
            after=after, study=self._study, pool=self._pool, values=self._values
        )
        try:
            call = self._link.stub.WatchEvents(request, metadata=self._link.metadata)
        except ValueError as error:
            raise self._link.closed() from error
        deadline = threading.Timer(self._link.timeout, call.cancel)
        deadline.daemon = True  # an interrupt while it starts must not have the process wait for it
        try:
            deadline.start()
            first = next(call)
        except StopIteration:
            return call  # the pool closes: there is no next event either
        except grpc.RpcError as error:
            raise self._link.error(error) from None
        finally:
            deadline.cancel()
        self.last, self._pool = first.sequence, first.pool
        self._backoff.reset()
        return call

    def __iter__(self) -> Watch:
        return self

    def __next__(self) -> Event:
        """Wait for the next event.

        Raises:
            StopIteration: when the pool has closed, or the watch was closed.
            EventsForgottenError: if events were missed that are not kept any more, or another pool listens
                there by now.
            NotAuthorizedError: if the token is not good any more.
            UnreachableError: if the service could not be reached again.
        """
        while not self._closed.is_set():
            try:
                response = next(self._call)
            except grpc.RpcError as error:
                self._recover(self._link.error(error))
                continue
            self.last = response.sequence
            if response.HasField("event"):
                return to_event(response.sequence, response.event)
        raise StopIteration

    def _recover(self, error: ControlError) -> None:
        """Begin again after the last event, if that is of use."""
        while not self._closed.is_set():
            if isinstance(error, UnreachableError) and error.reason == _POOL_CLOSED:
                self._closed.set()
                return
            wait = self._backoff.next() if passes(error) else None
            if wait is None:
                raise error
            if self._closed.wait(wait):
                return
            try:
                self._call = self._begin(self.last)
            except ControlError as again:
                error = again
            else:
                if self._closed.is_set():
                    self._call.cancel()
                return

    def close(self) -> None:
        """End the watch, from any thread. Idempotent."""
        self._closed.set()
        self._call.cancel()

    def __repr__(self) -> str:
        return f"<Watch of {self._link.address} behind event {self.last}>"
