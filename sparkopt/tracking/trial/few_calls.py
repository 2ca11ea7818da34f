"""The few calls of MLflow's that most objectives make, without MLflow, which takes seconds to load.

    log_metric(s), log_param(s), set_tag(s) ──▶ FewCalls ──▶ Buffer ──▶ driver
    log_text, log_artifact ───────────────────▶ FewCalls ──▶ driver
    what is not plainly right, or asks more ──▶ MLflow

What MLflow would refuse, warn of or change is left to MLflow itself, whatever its version: these calls take
only what all versions take, and do what all do. deferred_module.py offers them.
"""

from __future__ import annotations

import math
import os
import posixpath
import re
import threading
import time
from collections.abc import Iterable
from numbers import Integral, Real
from pathlib import Path
from typing import Any, Final

from sparkopt.errors import RequestFailedError, TrialError
from sparkopt.tracking import relay_protocol
from sparkopt.tracking.relay_protocol import BriefRun, Label, RelayError
from sparkopt.tracking.trial import batch_bytes, uploads
from sparkopt.tracking.trial.buffer import Buffer
from sparkopt.tracking.trial.left_out import is_new
from sparkopt.wire.lanes import Lane
from sparkopt.wire.limits import INLINE_BYTES
from sparkopt.worker.reports import Reporter

FAILURES: Final = (RelayError, RequestFailedError, TrialError)
"""Errors of asking the driver."""

_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_. -]*(/[A-Za-z0-9_][A-Za-z0-9_. -]*)*")
"""Names that no version of MLflow refuses or changes, of metrics, parameters, tags and files."""

_CHARACTERS: Final = 200
"""Most characters of such a name, and of the value of a parameter or a tag: fewer than any version allows."""

_STEPS: Final = 2**63

_SETTINGS: Final = ("MLFLOW_ENABLE_ASYNC_LOGGING", "MLFLOW_ACTIVE_MODEL_ID", "_MLFLOW_ACTIVE_MODEL_ID")
"""Variables that change the meaning of these calls."""


class FewCalls:
    """Log of one trial until it needs more of MLflow. May be used from any thread.

    A method returns whether it has logged what it was given; otherwise nothing was done, and MLflow has to.

    Attributes:
        buffer: metrics, parameters and tags on their way.
        run: the trial's, once something was logged.
        params: that were logged, by their names.

    Args:
        reporter: the trial's.
    """

    def __init__(self, reporter: Reporter) -> None:
        self._reporter = reporter
        self._lock = threading.Lock()
        self.buffer = Buffer()
        self.buffer.send = self._send
        self.run: BriefRun | None = None
        self.params: dict[str, str] = {}

    def log_metrics(self, metrics: Iterable[tuple[Any, Any]], step: Any) -> bool:
        """Log metrics, all at one step."""
        metrics, number = list(metrics), 0 if step is None else step
        if not (self._applies() and _is_step(number)):
            return False
        if not all(_is_name(key) and _is_number(value) for key, value in metrics):
            return False
        now = time.time_ns() // 1_000_000
        entries = [batch_bytes.metric(key, float(value), now, int(number)) for key, value in metrics]
        self.buffer.add(self._trials_run().run_id, entries)
        return True

    def log_params(self, params: Iterable[tuple[Any, Any]]) -> bool:
        """Log parameters. One that the run has already stays as it is."""
        texts = _texts(params)
        if texts is None or not self._applies():
            return False
        run = self._trials_run()
        with self._lock:
            if any(self.params.get(key, value) != value for key, value in texts):
                return False
            new = [each for each in texts if each[0] not in self.params]
            self.params.update(new)
        self.buffer.add(run.run_id, params=[each for each in new if is_new(run.params, *each)])
        return True

    def set_tags(self, tags: Iterable[tuple[Any, Any]]) -> bool:
        """Set tags."""
        texts = _texts(tags)
        if texts is None or any(key.startswith("mlflow.") for key, _ in texts) or not self._applies():
            return False
        self.buffer.add(self._trials_run().run_id, tags=texts)
        return True

    def log_text(self, text: Any, artifact_file: Any) -> bool:
        """Log a text as a file."""
        if type(text) is not str or not _is_name(artifact_file) or not self._takes_files():
            return False
        try:
            data = text.encode()
        except UnicodeEncodeError:
            return False
        body = data + relay_protocol.trailer(self._label(artifact_file))
        if len(body) > INLINE_BYTES:
            return False
        self._ask(relay_protocol.PUT, body)
        return True

    def log_artifact(self, local_path: Any, artifact_path: Any) -> bool:
        """Log a file, below a directory of the run's artifacts."""
        if not isinstance(local_path, (str, Path)) or not (artifact_path is None or _is_name(artifact_path)):
            return False
        file = Path(local_path)
        if not _is_name(file.name) or not file.is_file() or not self._takes_files():
            return False
        label = self._label(posixpath.join(artifact_path or "", file.name))
        uploads.put(self._ask, self._reporter.directory, file, label)
        return True

    def _applies(self) -> bool:
        return not self._reporter.in_child and not any(name in os.environ for name in _SETTINGS)

    def _takes_files(self) -> bool:
        return self._applies() and self._trials_run().relayed

    def _trials_run(self) -> BriefRun:
        if self.run is None:
            with self._lock:
                if self.run is None:
                    self.run = BriefRun.decode(self._ask(relay_protocol.BRIEF, b""))
        return self.run

    def _label(self, path: str) -> Label:
        return Label("runs", self._trials_run().run_id, path)

    def _send(self, batch: bytes) -> None:
        self._ask("LogBatch", batch)

    def _ask(self, method: str, body: bytes | Path) -> bytes:
        return relay_protocol.read_answer(self._reporter.ask(f"{Lane.MLFLOW.value}.{method}", body))


def pairs(values: Any) -> list[tuple[Any, Any]]:
    """The names and values in a dictionary; for anything else, a pair that every call refuses."""
    return list(values.items()) if isinstance(values, dict) else [(None, None)]


def _is_name(name: Any) -> bool:
    return type(name) is str and len(name) <= _CHARACTERS and _NAME.fullmatch(name) is not None


def _is_number(value: Any) -> bool:
    """Returns whether this is a number that MLflow logs as it is: one of numpy's may be."""
    if type(value) is bool or not isinstance(value, Real):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def _is_step(value: Any) -> bool:
    return type(value) is not bool and isinstance(value, Integral) and -_STEPS <= int(value) < _STEPS


def _texts(values: Iterable[tuple[Any, Any]]) -> list[tuple[str, str]] | None:
    """Names and values as text; None if one has to be looked at by MLflow."""
    texts = []
    for key, value in values:
        if not _is_name(key) or not isinstance(value, (str, float, int, type(None))):
            return None
        text = str(value)
        if len(text) > _CHARACTERS or not text.isprintable():
            return None
        texts.append((key, text))
    return texts
