"""Threads of a search: that of the study, and the one around Optuna's jobs, which Ctrl-C can leave.

    caller's thread ── one job: Optuna's loop itself        StudyThread: Study.run
          └── several: waits for ──▶ a thread: Optuna's loop, with its pool of threads

One job runs in the caller's thread, as with Optuna alone: its sampler keeps its seed, its storage its thread.
Several are Optuna's ``n_jobs``, which waits for every trial that runs before it lets an interrupt through. So
they have a thread of their own around them, and the caller waits where an interrupt reaches it.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ParamSpec, TypeVar

import optuna

from sparkopt.wire.limits import INTERRUPT_SECONDS

if TYPE_CHECKING:
    from sparkopt.coordinator import StudyChannel
    from sparkopt.pool.worker_pool import WorkerPool
    from sparkopt.study.listener import Listener
    from sparkopt.study.study import Study


P = ParamSpec("P")
R = TypeVar("R")


class StudyThread:
    """Runs a study beside Optuna's loop.

    Attributes:
        error: what has ended the study, once it has ended; None if it has ended by itself.

    Args:
        study: to be run.
        channel: its own.
        pool: the pool that the channel belongs to.
        ended: called at its end, in its thread, with :attr:`error`.
        listeners: hear of every trial.
    """

    def __init__(
        self,
        study: Study,
        channel: StudyChannel,
        pool: WorkerPool,
        ended: Callable[[Exception | None], None],
        listeners: Sequence[Listener] = (),
    ) -> None:
        self.error: Exception | None = None
        self._study = study
        self._channel = channel
        self._pool = pool
        self._tell = ended
        self._listeners = listeners
        self._ended = threading.Event()
        context = contextvars.copy_context()
        self._thread = threading.Thread(
            target=context.run, args=(self._run,), name="sparkopt-study", daemon=True
        )

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def cancel(self) -> None:
        """Have the study cancel running trials, and end."""
        self._channel.put_stop(False)

    def join(self) -> None:
        """Wait until the study has ended."""
        _wait(self._ended)
        self._thread.join()

    def _run(self) -> None:
        pool = self._pool
        try:
            workers, most = pool.parallelism, pool.max_parallelism
            self._study.run(self._channel, workers, time.monotonic(), self._listeners, None, most)
        except Exception as error:  # noqa: BLE001 - raised in the caller's thread
            self.error = error
        finally:
            self._tell(self.error)
            self._ended.set()


class UncaughtErrors:
    """Errors that end Optuna's loop.

    Optuna's ``n_jobs`` looks at what a trial has raised when it starts another one, never at the last ones.

    Attributes:
        catch: classes of exceptions that end a trial alone.

    Args:
        catch: the same.
    """

    def __init__(self, catch: tuple[type[Exception], ...]) -> None:
        self.catch = (*catch, optuna.TrialPruned)
        self._first: BaseException | None = None

    def noting(self, function: Callable[P, R], catch: tuple[type[Exception], ...] = ()) -> Callable[P, R]:
        """Returns a function that does the same, and notes what it raises, except for some classes."""

        def noted(*args: P.args, **kwargs: P.kwargs) -> R:
            try:
                return function(*args, **kwargs)
            except catch:
                raise
            except BaseException as error:
                self._first = self._first or error
                raise

        return noted

    def check(self) -> None:
        """Raise the first error."""
        if self._first is not None:
            raise self._first


def run_interruptibly(loop: Callable[[], None], cancel: Callable[[], None]) -> None:
    """Call a function in a thread of its own, wait for it, and raise what it raises.

    Args:
        loop: the function.
        cancel: has it end soon; called if the wait is interrupted, which then goes on.
    """
    raised: list[BaseException] = []
    ended = threading.Event()

    def call() -> None:
        try:
            context.run(loop)
        except BaseException as error:  # noqa: BLE001 - raised below
            raised.append(error)
        finally:
            ended.set()

    context = contextvars.copy_context()
    thread = threading.Thread(target=call, name="sparkopt-optuna-jobs", daemon=True)
    thread.start()
    try:
        _wait(ended)
    except BaseException:
        cancel()
        _wait(ended)
        thread.join()
        raise
    thread.join()
    if raised:
        raise raised[0]


def _wait(ended: threading.Event) -> None:
    while not ended.wait(INTERRUPT_SECONDS):
        pass
