"""Runs code that a pickle brings to the driver, apart from the driver's own.

    study's thread ── run ──▶ a thread of its own: unpickles, compares, converts
          │ waits                   │ returns, or raises whatever it likes
          ◀─────────────────────────┘

An object of the user's decides what happens when it is unpickled, compared or converted: it may raise
SystemExit or KeyboardInterrupt, or never return. What is raised in that separate thread
therefore comes from the object. Python runs signal handlers in the main thread, which only waits meanwhile,
so a KeyboardInterrupt there is the user's. The same holds in a notebook, and where ``fmin`` runs in another
thread.

Values without code of their own need no such thread: see :func:`sparkopt.wire.codec.loads_plain`.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from sparkopt.errors import RemoteTraceback, TrialTimeoutError
from sparkopt.wire import codec

if TYPE_CHECKING:
    from sparkopt.coordinator import Payload

T = TypeVar("T")

_LEAST_SECONDS: Final = 10.0
"""Least seconds that each value gets, so that one that arrives at the last moment is still kept."""


class ForeignError(Exception):
    """Exception from code of the user's. The text is the original exception's type and message.

    Attributes:
        error: the exception, of any kind.
        kind: its type, as Python writes a class: ``<class 'ValueError'>``.
        traceback: of where it was raised.
    """

    def __init__(self, error: BaseException) -> None:
        name, text = _said(lambda: type(error).__name__, "name"), _said(lambda: str(error), "text")
        super().__init__(f"{name}: {text}")
        self.error = error
        self.kind = _said(lambda: str(type(error)), "type")
        self.traceback = _traceback(error)


@dataclass(frozen=True, slots=True)
class Patience:
    """Limit on the time in which a value must be unpickled and read.

    Attributes:
        deadline: of the search, on the monotonic clock; None for none.
        trial_timeout: seconds that a trial may take; None for no limit.
    """

    deadline: float | None = None
    trial_timeout: float | None = None

    def seconds(self) -> float | None:
        """The limit from now on; None for none."""
        limits = [] if self.trial_timeout is None else [self.trial_timeout]
        if self.deadline is not None:
            limits.append(self.deadline - time.monotonic())
        return max(_LEAST_SECONDS, min(limits)) if limits else None


def load(payload: Payload | None, read: Callable[[Any], T], patience: Patience | None = None) -> T:
    """Unpickle a value and read it; in a thread of its own, if code of the user's may run for it.

    Args:
        payload: the pickled value; None if the objective has returned None.
        read: what to make of the value.
        patience: how long it may take; None for as long as it takes.

    Raises:
        ForeignError: what code of the user's has raised.
        Exception: what the reading of plain values has raised.
    """
    if payload is None:
        return read(None)
    if isinstance(payload.body, bytes):
        try:
            value = codec.loads_plain(payload.body)
        except codec.NotPlainError:
            pass
        else:
            return read(value)
    return run(lambda: read(payload.load()), None if patience is None else patience.seconds())


def run(function: Callable[[], T], seconds: float | None = None) -> T:
    """Call a function in a thread of its own, and wait for it.

    Args:
        function: the function, which may do anything.
        seconds: how long to wait; None for as long as it takes. After that, and after an interrupt of the
            user's, the thread is left to itself: nothing can end it.

    Raises:
        ForeignError: for whatever the function raises, and if it takes too long.
    """
    values: list[T] = []
    errors: list[ForeignError] = []

    def call() -> None:
        try:
            values.append(context.run(function))
        except ForeignError as error:
            errors.append(error)
        except BaseException as error:  # noqa: BLE001 - SystemExit and KeyboardInterrupt as well
            errors.append(ForeignError(error))

    context = contextvars.copy_context()
    thread = threading.Thread(target=call, name="sparkopt-unpickling", daemon=True)
    try:
        thread.start()
    except RuntimeError as error:
        raise ForeignError(error) from error  # the system gives no more threads
    thread.join(seconds)
    if values:
        return values[0]
    if errors:
        raise errors[0]
    raise ForeignError(
        TrialTimeoutError(
            f"what came from the objective was not unpickled after {seconds or 0:.0f} s. Its thread is left"
            " to itself; have the objective return something simpler, or increase trial_timeout and timeout."
        )
    )


def _said(say: Callable[[], Any], instead: str) -> str:
    """Returns a text of an exception as a plain ``str``, never as a subclass of the user's."""
    try:
        return "".join((say(),))
    except BaseException as worse:  # noqa: BLE001 - it is the user's, as all of this
        return f"<its {instead} cannot be had: {type(worse).__name__}>"


def _traceback(error: BaseException) -> RemoteTraceback:
    return RemoteTraceback(_said(lambda: RemoteTraceback.of(error).text, "traceback"))
