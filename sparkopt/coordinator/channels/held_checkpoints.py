"""Checkpoints of a study's running trials, kept at the driver until the trials settle.

    request Save ──▶ the bytes, or the file that the worker has pushed ──▶ keeper, if there is one ──▶ reply
    request Load ──▶ of the trial's newest checkpoint, whichever attempt has saved it ──▶ reply

The machine refuses requests of attempts that are not live, so a stale attempt neither saves nor loads
anything. Without a keeper nothing here waits: a file stays where it was pushed to. A keeper writes to a
journal, which may take long. So its calls are made in threads; those for one trial one after another.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Final, Protocol

from sparkopt.coordinator.channels.payload import Payload
from sparkopt.coordinator.channels.study_events import Request, Settled
from sparkopt.core.states import Outcome
from sparkopt.errors import SparkoptError, StorageError
from sparkopt.wire import lanes
from sparkopt.wire.actor_log import ActorLog
from sparkopt.wire.limits import CHECKPOINT_BYTES

_LOG: Final = ActorLog("coordinator")

_THREADS: Final = 4
"""Most trials whose checkpoints go to a keeper at once."""


class CheckpointKeeper(Protocol):
    """Keeps the checkpoints of unsettled trials beyond the driver's end. Called from any thread."""

    def checkpointed(self) -> Collection[int]:
        """The trials of which an earlier driver has left a checkpoint, by their numbers."""

    def keep_checkpoint(self, tid: int, body: bytes | Path) -> Payload:
        """Keep a trial's checkpoint, in place of the one before once this one is whole.

        Args:
            tid: the trial's number.
            body: its bytes, or their file, which may be moved.

        Returns:
            Where it is from now on.

        Raises:
            SparkoptError: if it cannot be kept. The one before is.
        """

    def checkpoint(self, tid: int) -> Payload | None:
        """Fetch a trial's checkpoint; None if there is none, or it is not what was written."""

    def drop_checkpoint(self, tid: int) -> None:
        """Forget a trial's checkpoint."""


class Reply(Protocol):
    """Answers a request, as :meth:`~sparkopt.coordinator.StudyChannel.reply` does."""

    def __call__(
        self, request: Request, body: bytes | Path | None = None, failure: str | None = None
    ) -> None:
        """Answer a request. A file is removed once it need not be kept any more."""


class Checkpoints:
    """The newest checkpoint of each trial of one study that has not settled. Thread-safe.

    Args:
        reply: answers a request, from any thread.
        keeper: keeps them beyond the driver's end; None if nobody does.
    """

    def __init__(self, reply: Reply, keeper: CheckpointKeeper | None = None) -> None:
        self._reply = reply
        self._keeper = keeper
        self._lock = Lock()
        self._known = set() if keeper is None else {*keeper.checkpointed()}
        self._held: dict[int, Payload] = {}
        self._lines: dict[int, deque[Callable[[], None]]] = {}
        self._threads: ThreadPoolExecutor | None = None
        self._directory: Path | None = None
        self._closed = False

    def take(self, request: Request) -> None:
        """Take a running trial's request in. In the coordinator's thread; waits for nothing."""
        if self._closed:
            if isinstance(request.body, Path):
                request.body.unlink(missing_ok=True)
            return
        self._known.add(request.tid)
        self._do(request.tid, partial(self._answer, request))

    def settled(self, settled: Settled) -> None:
        """Forget the checkpoint of a trial that has settled. In the coordinator's thread; waits for nothing.

        A keeper goes on keeping that of a trial that was cancelled: the next driver may run it again.
        """
        if settled.tid not in self._known:
            return
        if self._keeper is None or settled.outcome is not Outcome.CANCELLED:
            self._do(settled.tid, partial(self._forget, settled.tid))

    def close(self) -> None:
        """Save nothing any more, and remove what no keeper has. Idempotent."""
        with self._lock:
            self._closed = True
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown()
        for payload in self._held.values():
            payload.drop()
        self._held.clear()
        if self._directory is not None:
            shutil.rmtree(self._directory, ignore_errors=True)

    # Threads, if there is a keeper.

    def _do(self, tid: int, job: Callable[[], None]) -> None:
        if self._keeper is None:
            job()
            return
        with self._lock:
            line = self._lines.setdefault(tid, deque())
            line.append(job)
            if len(line) > 1 or self._closed:
                return
            if self._threads is None:
                self._threads = ThreadPoolExecutor(_THREADS, "sparkopt-checkpoints")
            self._threads.submit(self._work, tid)

    def _work(self, tid: int) -> None:
        """Do what there is to be done for a trial."""
        more = True
        while more:
            try:
                self._lines[tid][0]()
            except Exception as error:  # noqa: BLE001 - the trial's next jobs would wait for ever
                _LOG.error("bug met", error, after="checkpoint", trial=tid)
            with self._lock:
                line = self._lines[tid]
                line.popleft()
                more = bool(line)
                if not more:
                    del self._lines[tid]

    # Jobs.

    def _answer(self, request: Request) -> None:
        try:
            self._reply(request, self._result_of(request))
        except (SparkoptError, OSError) as error:
            self._reply(request, failure=str(error))
        except Exception as error:  # noqa: BLE001 - the trial waits for an answer
            _LOG.error("bug met", error, after=request.method, trial=request.tid)
            self._reply(request, failure=f"{type(error).__name__}: {error}")
        finally:
            if isinstance(request.body, Path) and not self._holds(request):
                request.body.unlink(missing_ok=True)

    def _holds(self, request: Request) -> bool:
        held = self._held.get(request.tid)
        return held is not None and held.body == request.body

    def _result_of(self, request: Request) -> bytes | Path:
        if request.method == lanes.SAVE:
            return self._save(request)
        if request.method == lanes.LOAD:
            return self._load(request)
        raise StorageError(f"there is no request {request.method!r} about checkpoints")

    def _save(self, request: Request) -> bytes:
        tid, body = request.tid, request.body
        if self._closed:
            raise StorageError("the study has ended")
        if isinstance(body, Path) and body.stat().st_size > CHECKPOINT_BYTES:
            raise StorageError(f"a checkpoint has {CHECKPOINT_BYTES:,} bytes at most")
        kept = Payload(body) if self._keeper is None else self._keeper.keep_checkpoint(tid, body)
        before = self._held.get(tid)
        self._held[tid] = kept
        if before is not None:
            before.drop()
        return b""

    def _load(self, request: Request) -> bytes | Path:
        tid = request.tid
        if tid not in self._held and self._keeper is not None:
            found = self._keeper.checkpoint(tid)
            if found is not None:
                self._held[tid] = found
        held = self._held.get(tid)
        if held is None:
            return b""
        return held.body if isinstance(held.body, bytes) else self._link(held.body, request)

    def _link(self, path: Path, request: Request) -> Path:
        """Make another name for a file, which is removed with the reply."""
        with self._lock:
            if self._directory is None:
                self._directory = Path(tempfile.mkdtemp(prefix="sparkopt-checkpoints-"))
        link = self._directory / f"{request.tid}-{request.attempt}-{request.id}"
        link.symlink_to(path.absolute())
        return link

    def _forget(self, tid: int) -> None:
        held = self._held.pop(tid, None)
        if held is not None:
            held.drop()
        self._known.discard(tid)
        if self._keeper is not None:
            with contextlib.suppress(SparkoptError):  # a journal that cannot be written
                self._keeper.drop_checkpoint(tid)
