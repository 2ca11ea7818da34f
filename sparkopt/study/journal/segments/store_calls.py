"""Requests of a log, made in a store: again where it fails, and given up where it does not answer.

    SegmentLog ── Put, Get, ... ──▶ StoreCalls ──▶ a thread for each call ──▶ ObjectStore
                                     waits for an answer, or for the time to be up

A call may never return: a file system whose server is gone, a connection that swallows everything. Python
cannot interrupt it then, so it is made in a thread that nobody needs, and that the end of the process does
not wait for. It is not made a second time beside the first, which may still be done.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from typing import Any, Final, Generic, TypeVar

from sparkopt.study.journal.segments.object_stores import ObjectStore, Pieces
from sparkopt.study.journal.segments.segment_log import (
    Delete,
    Get,
    ListLarge,
    ListNames,
    Put,
    Request,
    Steps,
)
from sparkopt.wire.actor_log import ActorLog

T = TypeVar("T")

_LOG: Final = ActorLog("study")
_THREADS: Final = 16
"""How many objects are got or deleted at once: most of the time passes on the way to the store."""

_FIRST_PAUSE: Final = 0.1
_LONGEST_PAUSE: Final = 5.0
"""Seconds between two tries, doubled each time."""

_UNANSWERED: Final = 10.0
"""Seconds after which a call that has no answer is logged."""


class UnansweredError(TimeoutError):
    """A store has not answered for longer than is waited for."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"its store has not answered for {seconds:.0f} seconds")


class _Call(Generic[T]):
    """A call under way, in a thread of its own.

    Args:
        call: is given a function that says, while it lasts, that it gets on.
        changed: is notified at its end.
    """

    def __init__(self, call: Callable[[Callable[[], None]], T], changed: threading.Condition) -> None:
        self._call, self._changed = call, changed
        self.heard = time.monotonic()
        self.ended = False
        self._answer: list[T] = []
        self._error: BaseException | None = None
        threading.Thread(target=self._run, name="sparkopt-journal-call", daemon=True).start()

    def _run(self) -> None:
        try:
            self._answer.append(self._call(self._get_on))
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self._error = error
        with self._changed:
            self.ended = True
            self._changed.notify_all()

    def _get_on(self) -> None:
        self.heard = time.monotonic()

    def result(self) -> T:
        """Returns its answer, or raises what it has raised."""
        if self._error is not None:
            raise self._error
        return self._answer[0]


class Calls:
    """Calls that are waited for in the thread that makes them, so that it can be interrupted. Thread-safe.

    Args:
        answer: seconds for which an answer is waited for.
    """

    def __init__(self, answer: float) -> None:
        self._answer = answer
        self._changed = threading.Condition()
        self._hurries = 0

    def once(self, call: Callable[[Callable[[], None]], T]) -> T:
        """Make a call, and wait for its answer.

        Raises:
            UnansweredError: if there is none.
            Exception: whatever the call raises.
        """
        with self._changed:
            made, told = _Call(call, self._changed), False
            while not made.ended:
                silent = time.monotonic() - made.heard
                if silent >= self._answer:
                    raise UnansweredError(self._answer)
                if silent >= _UNANSWERED and not told:
                    told = True
                    _LOG.info("journal's store does not answer", seconds=silent, waits=self._answer)
                self._changed.wait((self._answer if told else min(self._answer, _UNANSWERED)) - silent)
        return made.result()

    def shorten(self, seconds: float) -> None:
        """Wait no longer than this for an answer, and cut pauses short."""
        with self._changed:
            self._answer = min(self._answer, seconds)
            self._hurries += 1
            self._changed.notify_all()


class StoreCalls(Calls):
    """Requests of a log, made in a store. Thread-safe.

    Attributes:
        store: where the objects are.

    Args:
        store: where the objects are.
        patience: seconds until a request that fails again and again has failed for good.
        answer: seconds for which an answer is waited for.
        hide: takes secrets out of a text.
    """

    def __init__(
        self, store: ObjectStore, patience: float, answer: float, hide: Callable[[str], str] = str
    ) -> None:
        super().__init__(answer)
        self.store = store
        self._patience, self._hide = patience, hide

    def have_patience(self, patience: float) -> None:
        """From now on, try for ``patience`` seconds."""
        self._patience = patience

    def shorten(self, seconds: float) -> None:
        """Wait no longer than this for anything, and try again at once what has failed."""
        self._patience = min(self._patience, seconds)
        super().shorten(seconds)

    def run(self, steps: Steps[T]) -> T:
        """Make an operation's requests, one after another.

        Raises:
            Exception: what the operation raises; or the store, for longer than is waited for.
        """
        answer: Any = None
        while True:
            try:
                request = steps.send(answer)
            except StopIteration as stop:
                result: T = stop.value
                return result
            answer = self.make(request)

    def make(self, request: Request) -> Any:
        """Make a request, and return its answer."""
        match request:
            case Put(name, data):
                pieces: Pieces | None = data if callable(data) else None
                if pieces is None:
                    return self._put(name, data)
                return self._again(lambda get_on: self.store.put(name, _watched(pieces(), get_on)))
            case Get(names):
                return self.each(self.store.get, names)
            case ListNames():
                return self._again(lambda _: self.store.list())
            case ListLarge():
                return self._again(lambda _: self.store.list_large())
            case Delete(names):
                return self.each(self.store.delete, names, again=False)

    def _put(self, name: str, data: bytes) -> None:
        """Put an object, and look for it before that is repeated.

        It may be there although the put failed, and another driver may go on from it by now. So it must not
        be half written for a moment.
        """
        tried = False

        def put(get_on: Callable[[], None]) -> None:
            nonlocal tried
            if tried and self.store.get(name) == data:
                return
            tried = True
            self.store.put(name, _watched((data,), get_on))

        self._again(put)

    def said(self, error: BaseException) -> str:
        """Returns an error as the log may have it."""
        return self._hide(f"{type(error).__name__}: {error}")

    def each(self, call: Callable[[str], T], names: Sequence[str], again: bool = True) -> list[T]:
        """Make a call for each of several names, several at once.

        Args:
            call: for one of them.
            names: of objects.
            again: whether those that fail are tried again.
        """
        make = self._again if again else self.once
        if len(names) == 1:
            return [make(partial(_ignoring, call, names[0]))]
        answers: dict[int, T] = {}
        left = iter(range(len(names)))
        errors: list[BaseException] = []
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set() and (number := next(left, None)) is not None:
                try:
                    answers[number] = make(partial(_ignoring, call, names[number]))
                except BaseException as error:  # noqa: BLE001 - raised below
                    errors.append(error)
                    stop.set()

        threads = [
            threading.Thread(target=work, name="sparkopt-journal-calls", daemon=True)
            for _ in range(min(_THREADS, len(names)))
        ]
        for thread in threads:
            thread.start()
        try:
            for thread in threads:
                thread.join()
        finally:
            stop.set()
        if errors:
            raise errors[0]
        return [answers[number] for number in range(len(names))]

    def _again(self, call: Callable[[Callable[[], None]], T]) -> T:
        """Make a call until it succeeds."""
        began, pause = time.monotonic(), _FIRST_PAUSE
        while True:
            hurries = self._hurries
            try:
                return self.once(call)
            except UnansweredError:
                raise
            except Exception as error:
                # Libraries of stores raise what they like.
                if time.monotonic() - began + pause > self._patience:
                    raise
                _LOG.info("journal's store fails", error=self.said(error), again_in=pause)
            with self._changed:
                if self._hurries == hurries:
                    self._changed.wait(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _ignoring(call: Callable[[str], T], name: str, _get_on: Callable[[], None]) -> T:
    return call(name)


def _watched(pieces: Iterable[bytes], get_on: Callable[[], None]) -> Iterator[bytes]:
    for piece in pieces:
        get_on()
        yield piece
