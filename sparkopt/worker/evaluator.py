"""Process B: alone unpickles and runs the objective.

It waits for a frame, runs the objective on the argument, and answers; one trial at a time, for as long as
it lives. An objective is unpickled once and kept. Whatever the objective raises becomes an answer.

    frame ──▶ load ──▶ fresh random state ──▶ objective(argument) ──▶ functions put back, signals calmed
                                              └── measured ─────┘           │
                     surroundings restored ◀── answer ◀── streams written out ◀── pickle

The answer goes out before the surroundings are restored, so that process A and the driver work on it
meanwhile. A result that does not pickle in the surroundings that the trial has left is pickled again in
restored ones.

Only this process answers: a child that the objective has forked ends where it leaves the objective. The
functions that are called here are bound before the objective is loaded, so that one that replaces them
changes nothing.
"""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from os import _exit
from pathlib import Path
from sys import exc_info, setprofile, settrace
from time import monotonic
from traceback import format_exception
from typing import Any, Final

from sparkopt.errors import StorageError
from sparkopt.wire import codec
from sparkopt.wire.limits import INLINE_BYTES, TEXT_CHARACTERS
from sparkopt.wire.modules.missing_modules import NOT_LOADED, lacking
from sparkopt.worker import checkpoints, children, trial_info
from sparkopt.worker.asking import TrialAsking
from sparkopt.worker.evaluator_socket import UNHEARD, EvaluatorSocket
from sparkopt.worker.frames import Frame, Kind
from sparkopt.worker.intermediate_values import is_pruned, report_through
from sparkopt.worker.prune_flag import PruneFlag
from sparkopt.worker.reports import Reporter, ReportingObjective
from sparkopt.worker.shipped import NUMBERS, ShippedObjective
from sparkopt.worker.shipped_modules import ShippedModules
from sparkopt.worker.streams import Streams
from sparkopt.worker.surroundings import Surroundings, renew_randomness
from sparkopt.worker.thread_pools import ThreadPools

__wraps_objectives__ = True
"""Marks a module whose frames come before the objective's own in a traceback."""

_ADVICE_CHARACTERS: Final = 200
"""So much of an error's text is repeated in the advice that comes before its traceback."""

_USES_SPARK: Final = "CONTEXT_ONLY_VALID_ON_DRIVER"
"""Spark's error condition, as it is in the error's text."""

_SPARK: Final = "the objective uses Spark itself, which works on the driver only"


class Evaluator:
    """Runs the objective for process A.

    Args:
        sock: to process A.
        directory: where payloads go that are too large for the socket; A owns and removes it.
        streams: this process's standard streams.
        prune_flag: says which run is to stop early.
    """

    def __init__(
        self, sock: EvaluatorSocket, directory: Path, streams: Streams, prune_flag: PruneFlag
    ) -> None:
        self._sock = sock
        self._directory = directory
        self._streams = streams
        self._surroundings = Surroundings()
        self._objective: ShippedObjective | None = None
        self._objective_id = ""
        self._modules = ShippedModules(directory)
        self._thread_pools = ThreadPools()
        self._asking = TrialAsking(sock, directory)
        self._started = 0.0
        self._advice = ""
        report_through(sock, prune_flag)
        checkpoints.keep_through(self._asking, directory)

    def serve(self) -> None:
        """Answer frames until A closes the socket, or a trial has spoilt this process for others."""
        while (frame := self._sock.next_run()) is not None:
            answer = self._answer(frame)
            whole = self._streams.settle()
            sent = self._sock.answer(answer)
            kept = self._surroundings.restore()
            if not sent:
                self._save(answer)
                return
            if not (whole or self._streams.settle()):
                kept.append("its standard streams")
            if kept:
                self._say_spent(kept)
                return

    def _save(self, answer: Frame) -> None:
        try:
            self._sock.save(answer)
        except OSError as error:
            self._streams.tell(f"sparkopt: the answer could neither be sent nor saved: {error}")
            _exit(UNHEARD)

    def _answer(self, frame: Frame) -> Frame:
        self._started = monotonic()
        self._advice = ""
        try:
            try:
                objective, result, seconds, threads = self._evaluate(frame)
            finally:
                self._end_trial(exc_info()[1])
            convention = objective.convention
            header: dict[str, Any] = {
                "seconds": seconds,
                "threads": threads,
                "loss": convention.loss(result),
                "fault": convention.fault(result),
            }
            if convention.values is not None:
                header["values"] = convention.values(result)
            payload = self._result(objective, result)
            if len(payload) > INLINE_BYTES:
                self._surroundings.restore()  # it goes through a file
            answer = self._framed(Kind.RESULT, header, payload)
            if self._sock.in_child:  # forked while it was pickled
                children.leave(None)
            return answer
        except BaseException as error:
            self._end_trial(error)  # once more, as a signal of the trial's may have interrupted it
            self._surroundings.restore()
            seconds = monotonic() - self._started
            if is_pruned(error):
                return Frame(Kind.PRUNED, {"seconds": seconds}, run=self._sock.run)
            return self._failure(error, seconds)

    def _evaluate(self, frame: Frame) -> tuple[ShippedObjective, Any, float, int]:
        """The objective, its result, the seconds that it took, and the threads that its libraries use."""
        objective = self._load_objective(frame.header["objective"], frame.header["objective_file"])
        argument = codec.loads(self._argument(frame))
        renew_randomness()
        fn = objective.fn
        if isinstance(fn, ReportingObjective):
            asking = self._asking.get("a reporter")
            call = partial(fn.run, argument, Reporter(asking, self._packed, self._directory))
        else:
            call = partial(fn, argument)
        trial_info.begin(frame.header["trial"])
        if frame.header["timed"]:
            self._sock.send(Frame(Kind.STARTED, {}, run=frame.run))
        self._started = monotonic()
        result = copy_context().run(call)
        seconds = monotonic() - self._started
        # Whatever they do, they are called from the next function of Python's on; put back with the rest.
        settrace(None)
        setprofile(None)
        self._surroundings.functions.put_back()
        # Before the surroundings are restored: threadpoolctl sets a variable when it is loaded.
        threads = 0 if self._sock.in_child else self._thread_pools.largest()
        return objective, result, seconds, threads

    def _end_trial(self, error: BaseException | None) -> None:
        """Have nothing of the trial's run any more. A process that the trial has forked ends here."""
        if error is not None:
            self._surroundings.functions.put_back()
        if self._sock.in_child:
            children.leave(error)
        self._surroundings.calm()
        trial_info.begin(None)
        self._asking.end()

    def _say_spent(self, kept: list[str]) -> None:
        """Say why this process ends."""
        self._streams.tell(
            f"sparkopt: the next trial runs in a new process, as the one before it has changed"
            f" {', '.join(kept)}, and that could not be put back"
        )

    def _load_objective(self, name: str, file: str) -> ShippedObjective:
        if self._objective is None or name != self._objective_id:
            self._objective = None
            try:
                with Path(file).open("rb") as stream:
                    self._modules.take(stream)
                    loaded = codec.load(stream)
            except BaseException as error:
                self._advice = self._not_loaded(error)
                raise
            self._objective = (
                loaded if isinstance(loaded, ShippedObjective) else ShippedObjective(loaded, NUMBERS)
            )
            self._objective_id = name
            # What its modules did when they were imported is there for every trial, not only for the first.
            self._surroundings = Surroundings()
        assert self._objective is not None
        return self._objective

    def _argument(self, frame: Frame) -> bytes:
        file = frame.header.get("argument_file")
        return frame.payload if file is None else Path(file).read_bytes()

    def _failure(self, error: BaseException, seconds: float) -> Frame:
        text = _traceback(error)
        if advice := self._advice or self._advice_on(error, text):
            text = f"{advice}\n\n{text}"
        header = {
            "type": _sendable(_type_name(error)),
            "message": _sendable(_text(error)),
            "traceback": _sendable(text),
            "seconds": seconds,
        }
        try:
            payload = codec.dumps(error)
            codec.loads(payload)
        except BaseException:
            # Its text has to do: many exceptions pickle and then cannot be built again from their arguments.
            payload = b""
        try:
            return self._framed(Kind.FAILURE, header, payload)
        except StorageError:
            return Frame(Kind.FAILURE, header, run=self._sock.run)

    def _not_loaded(self, error: BaseException) -> str:
        said = _text(error)[:_ADVICE_CHARACTERS]
        if isinstance(error, ModuleNotFoundError):
            return lacking(error.name, self._modules.withheld, said)
        return (
            f"{NOT_LOADED}: {said}. What it is made of, such as the modules that it comes from, must be there"
            " as on the driver"
        )

    def _advice_on(self, error: BaseException, text: str) -> str:
        if type(error) is ModuleNotFoundError and type(error.name) is str:
            return lacking(error.name, self._modules.withheld)
        return self._spark_advice() if _USES_SPARK in text else ""

    def _spark_advice(self) -> str:
        instead = "" if self._objective is None else self._objective.convention.on_driver
        return f"{_SPARK}: {instead}" if instead else _SPARK

    def _result(self, objective: ShippedObjective, result: Any) -> bytes:
        pack = objective.pack
        with suppress(Exception):
            return pack(result)
        self._surroundings.restore()  # it may have failed by a limit that the trial has left
        try:
            return pack(result)
        except Exception:
            self._advice = objective.advice(result)
            raise

    def _packed(self, kind: Kind, header: dict[str, Any], value: Any) -> Frame:
        return self._framed(kind, header, codec.dumps(value))

    def _framed(self, kind: Kind, header: dict[str, Any], payload: bytes) -> Frame:
        if len(payload) <= INLINE_BYTES:
            return Frame(kind, header, payload, self._sock.run)
        file: str | None = None
        try:
            self._directory.mkdir(mode=0o700, exist_ok=True)  # the objective may have removed it
            handle, file = tempfile.mkstemp(dir=self._directory, prefix="result-")
            with os.fdopen(handle, "wb") as stream:
                stream.write(payload)
        except OSError as error:
            if file is not None:
                Path(file).unlink()
            raise StorageError.of(error, f"a {kind.name.lower()}", self._directory) from error
        return Frame(kind, {**header, "file": file}, run=self._sock.run)


def _type_name(error: BaseException) -> str:
    kind = type(error)
    try:
        return (
            kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"
        )
    except BaseException as worse:
        return f"<its type has no name: {_type_name(worse)}>"


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
    while frames is not None and frames.tb_next and frames.tb_frame.f_globals.get("__wraps_objectives__"):
        frames = frames.tb_next
    try:
        return "".join(format_exception(type(error), error, frames))
    except BaseException as worse:
        return f"<its traceback cannot be had: {type(worse).__name__}>"
