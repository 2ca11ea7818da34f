"""Points from an iterable to outcomes from an iterator, asynchronous or not: ask-and-tell in a loop."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, TypeAlias

from sparkopt.client.closing import Closing
from sparkopt.client.stream import EvaluationStream
from sparkopt.client.views import Evaluation
from sparkopt.errors import RefusedError
from sparkopt.wire.arguments import WHOLE, check_whole, refuse_type

Point: TypeAlias = "Mapping[str, Any] | tuple[str, Mapping[str, Any]]"
"""A value for each label; an id of the caller's own may stand before it."""


POINTS: Final = "an iterable of points, as in [{'x': 1.5}, {'x': 2.5}]"


class Evaluations(Closing):
    """The outcomes of points, in the order in which they complete: an iterator, and an async iterator.

    Points are taken from the iterable in the consumer's thread, and one only when fewer than ``in_flight``
    are without an outcome that the consumer has taken. So a generator that proposes from the outcomes so far
    knows all of them.

    Made by :meth:`~sparkopt.ControlClient.evaluate`; also a context manager that ends it. A loop that is left
    early ends it too.

    Args:
        stream: to evaluate in; is closed at the end.
        points: an iterable, or an async one.
        in_flight: how many points may be without an outcome; None for the number that ``suits`` returns.
        suits: asks the service how many suit the pool.

    Raises:
        RefusedError: if an argument makes no sense.
    """

    def __init__(
        self,
        stream: EvaluationStream,
        points: Iterable[Point] | AsyncIterable[Point],
        in_flight: int | None,
        suits: Callable[[], int],
    ) -> None:
        if in_flight is not None:
            in_flight = check_whole("in_flight", in_flight, f"None or {WHOLE}", least=1)
        if isinstance(points, (str, bytes, Mapping)) or not isinstance(points, (Iterable, AsyncIterable)):
            refuse_type("points", points, POINTS)
        self._stream = stream
        self._points = _Points(stream, in_flight, isinstance(points, Sequence))
        self._suits = suits
        self._iterator = iter(points) if isinstance(points, Iterable) else None
        self._async_iterator = None if isinstance(points, Iterable) else aiter(points)
        self._pulling: asyncio.Future[Point] | None = None
        self._wake: asyncio.Event | None = None

    def __iter__(self) -> Evaluations:
        return self

    def __next__(self) -> Evaluation:
        """Wait for the next outcome.

        Raises:
            StopIteration: when there are no more points, and each has its outcome.
            RefusedError: if a point makes no sense, or the points come asynchronously.
            NotAuthorizedError: if the token is not good, or good for reading only.
            WrongStateError: if the study is a search.
            StudyStoppedError: if the study was stopped.
            UnreachableError: if the pool has closed, or could not be reached again.
            Exception: whatever the iterable of points raises.
        """
        if self._iterator is None:
            raise RefusedError("these points come asynchronously: use `async for`")
        with self._closed_by_errors():
            if self._points.limit is None:
                self._points.limit = self._suits()
            self._points.pull(self._iterator)
            if self._points.are_over:
                raise StopIteration
            return self._stream.next()

    def __aiter__(self) -> Evaluations:
        return self

    async def __anext__(self) -> Evaluation:
        """Wait for the next outcome; raises as :meth:`__next__` does, and StopAsyncIteration at the end."""
        with self._closed_by_errors():
            if self._points.limit is None:
                self._points.limit = await asyncio.to_thread(self._suits)
            wake = self._wake = self._wake or _woken_by(self._stream)
            while True:
                if self._iterator is not None:
                    self._points.pull(self._iterator)
                else:
                    self._pull_beside(wake)
                if self._points.are_over:
                    raise StopAsyncIteration
                wake.clear()
                if (evaluation := self._stream.take()) is not None:
                    return evaluation
                await wake.wait()

    def _pull_beside(self, wake: asyncio.Event) -> None:
        """Take the point that has come, and ask for another one without waiting for it."""
        if self._pulling is not None and self._pulling.done():
            came, self._pulling = self._pulling, None
            try:
                self._points.submit(came.result())
            except StopAsyncIteration:
                self._points.finish()
        if self._pulling is None and self._points.are_wanted and self._async_iterator is not None:
            self._pulling = asyncio.ensure_future(self._async_iterator.__anext__())
            self._pulling.add_done_callback(lambda _: wake.set())

    @contextlib.contextmanager
    def _closed_by_errors(self) -> Iterator[None]:
        # Not by a cancellation: a caller that waits for an outcome with a timeout may ask for it again.
        try:
            yield
        except Exception:
            self.close()
            raise

    def close(self) -> None:
        """Take no more points and no more outcomes. What runs goes on. Idempotent."""
        if self._pulling is not None:
            with contextlib.suppress(RuntimeError):  # the loop that it would be cancelled in is closed
                self._pulling.cancel()
        self._stream.close()

    async def __aenter__(self) -> Evaluations:
        return self

    async def __aexit__(self, *error: object) -> None:
        self.close()

    def __del__(self) -> None:
        if hasattr(self, "_wake"):
            self.close()

    def __repr__(self) -> str:
        return f"<Evaluations in {self._stream!r}>"


class _Points:
    """Points pulled from the caller's iterable, when there is room for them.

    Args:
        stream: where the points go.
        limit: how many may be without an outcome; None before that is known.
        fixed: whether they stand in a list: then they cannot depend on outcomes, and as many go out as the
            service takes in.
    """

    def __init__(self, stream: EvaluationStream, limit: int | None, fixed: bool) -> None:
        self._stream = stream
        self._fixed = fixed and limit is None
        self._exhausted = False
        self.limit = limit

    @property
    def are_wanted(self) -> bool:
        """True if another one may be pulled."""
        limit = self.limit or 1
        if self._fixed:
            limit = max(limit, self._stream.window or 0)
        return not self._exhausted and self._stream.outstanding < limit

    @property
    def are_over(self) -> bool:
        """True if there are no more, and each has its outcome."""
        return self._exhausted and self._stream.outstanding == 0

    def pull(self, iterator: Iterator[Point]) -> None:
        """Submit as many as are wanted."""
        while self.are_wanted:
            try:
                point = next(iterator)
            except StopIteration:
                self.finish()
            else:
                self.submit(point)

    def submit(self, point: Point) -> None:
        """Submit one."""
        if isinstance(point, tuple):
            if len(point) != 2:
                raise RefusedError(
                    f"a point that is a tuple must be a pair of an id and a mapping, got {point!r}"
                )
            identifier, values = point
            self._stream.submit(values, identifier)
        else:
            self._stream.submit(point)

    def finish(self) -> None:
        """Note that no more points come."""
        self._exhausted = True
        self._stream.finish()


def _woken_by(stream: EvaluationStream) -> asyncio.Event:
    """An event of the running loop that is set when the stream has something new."""
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    stream.on_change(lambda: loop.call_soon_threadsafe(event.set))  # type: ignore[arg-type]
    return event
