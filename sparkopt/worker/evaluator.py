"""Process B: alone unpickles and runs the objective.

It waits for a frame, runs the objective on the argument, and answers; one trial at a time, for as long as
it lives. An objective is unpickled once and kept. Whatever the objective raises becomes an answer.

    frame ──▶ load ──▶ fresh random state ──▶ objective(argument) ──▶ surroundings restored ──▶ pickle
                                              └── measured ─────┘         streams written out ──▶ answer
"""

from __future__ import annotations

import math
import numbers
import os
import pickle
import socket
import tempfile
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeAlias

from sparkopt.errors import StorageError
from sparkopt.wire import codec
from sparkopt.wire.limits import INLINE_BYTES, TEXT_CHARACTERS
from sparkopt.worker.frames import Frame, Kind, receive
from sparkopt.worker.outside import OutsideObjective
from sparkopt.worker.reports import Reporter, ReportingObjective
from sparkopt.worker.streams import Streams
from sparkopt.worker.surroundings import Surroundings, renew_randomness
from sparkopt.worker.thread_pools import ThreadPools

_OURS: Final = (__name__, "sparkopt.ctrl", "sparkopt.tracking.trial.objective", "sparkopt.worker.outside")
"""Modules whose frames come before the objective's own."""

Objective: TypeAlias = "Callable[[Any], Any] | ReportingObjective"


class Evaluator:
    """Runs the objective for process A.

    Args:
        directory: where payloads go that are too large for the socket; A owns and removes it.
        streams: this process's standard streams.
    """

    def __init__(self, directory: Path, streams: Streams) -> None:
        self._directory = directory
        self._streams = streams
        self._surroundings = Surroundings()
        self._objective: Objective | None = None
        self._objective_id = ""
        self._thread_pools = ThreadPools()

    def serve(self, sock: socket.socket) -> None:
        """Answer frames until A closes the socket."""
        while (frame := receive(sock)) is not None:
            answer = self._answer(frame, sock)
            self._streams.settle()
            sock.sendall(answer.encode())

    def _answer(self, frame: Frame, sock: socket.socket) -> Frame:
        started = time.monotonic()
        try:
            try:
                objective = self._load_objective(frame.header["objective"], frame.header["objective_file"])
                argument = codec.loads(self._argument(frame))
                renew_randomness()
                if frame.header["timed"]:
                    sock.sendall(Frame(Kind.STARTED).encode())
                started = time.monotonic()
                result = self._call(objective, argument, sock)
                seconds = time.monotonic() - started
                # Before the surroundings are restored: threadpoolctl sets a variable when it is loaded.
                threads = self._thread_pools.largest()
            finally:
                self._surroundings.restore()
            header = {"seconds": seconds, "threads": threads, "loss": _loss(result)}
            if isinstance(objective, OutsideObjective):
                return self._framed(Kind.RESULT, header, objective.told(result))
            return self._packed(Kind.RESULT, header, result)
        except BaseException as error:
            return self._failure(error, time.monotonic() - started)

    def _call(self, objective: Objective, argument: Any, sock: socket.socket) -> Any:
        if not isinstance(objective, ReportingObjective):
            return objective(argument)
        reporter = Reporter(sock, self._packed, self._directory)
        try:
            return objective.run(argument, reporter)
        finally:
            reporter.close()

    def _load_objective(self, name: str, file: str) -> Objective:
        if self._objective is None or name != self._objective_id:
            self._objective = None
            with Path(file).open("rb") as stream:
                self._objective = pickle.load(stream)
            self._objective_id = name
            # What its modules did when they were imported is there for every trial, not only for the first.
            self._surroundings = Surroundings()
        assert self._objective is not None
        return self._objective

    def _argument(self, frame: Frame) -> bytes:
        file = frame.header.get("argument_file")
        return frame.payload if file is None else Path(file).read_bytes()

    def _failure(self, error: BaseException, seconds: float) -> Frame:
        header = {
            "type": _sendable(_type_name(error)),
            "message": _sendable(_text(error)),
            "traceback": _sendable(_traceback(error)),
            "seconds": seconds,
        }
        try:
            payload = codec.dumps(error)
            pickle.loads(payload)
        except BaseException:
            # Its text has to do: many exceptions pickle and then cannot be built again from their arguments.
            payload = b""
        try:
            return self._framed(Kind.FAILURE, header, payload)
        except StorageError:
            return Frame(Kind.FAILURE, header)

    def _packed(self, kind: Kind, header: dict[str, Any], value: Any) -> Frame:
        return self._framed(kind, header, codec.dumps(value))

    def _framed(self, kind: Kind, header: dict[str, Any], payload: bytes) -> Frame:
        if len(payload) <= INLINE_BYTES:
            return Frame(kind, header, payload)
        file: str | None = None
        try:
            handle, file = tempfile.mkstemp(dir=self._directory, prefix="result-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(payload)
        except OSError as error:
            if file is not None:
                Path(file).unlink()
            raise StorageError.of(error, f"a {kind.name.lower()}", self._directory) from error
        return Frame(kind, {**header, "file": file})


def _loss(result: Any) -> float | None:
    """The loss in a result, if it is a number; hyperopt has the last word on what a result is."""
    if isinstance(result, dict):
        result = result.get("loss") if result.get("status") == "ok" else None
    if not isinstance(result, numbers.Real):
        return None
    try:
        loss = float(result)
    except Exception:
        return None
    return None if math.isnan(loss) else loss


def _type_name(error: BaseException) -> str:
    kind = type(error)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _sendable(text: str) -> str:
    """The text as a message takes it: not too long, and without what UTF-8 has no bytes for."""
    if len(text) > TEXT_CHARACTERS:
        half = TEXT_CHARACTERS // 2
        left_out = len(text) - 2 * half
        text = f"{text[:half]}\n[{left_out:,} characters left out]\n{text[-half:]}"
    return text.encode(errors="backslashreplace").decode()


def _text(error: BaseException) -> str:
    try:
        return str(error)
    except BaseException as worse:
        return f"<its text cannot be had: {type(worse).__name__}>"


def _traceback(error: BaseException) -> str:
    """The traceback from the objective's frames on: ours are of no use to its author."""
    frames = error.__traceback__
    while frames is not None and frames.tb_next and frames.tb_frame.f_globals.get("__name__") in _OURS:
        frames = frames.tb_next
    try:
        return "".join(traceback.format_exception(type(error), error, frames))
    except BaseException as worse:
        return f"<its traceback cannot be had: {type(worse).__name__}>"
