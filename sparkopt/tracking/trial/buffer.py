"""Metrics, parameters and tags on their way to the driver, gathered into batches.

    log_metric, log_param, set_tag, log_batch ──▶ Buffer.add ──▶ a second later, or when enough has come
                                                                 together, or before anything else ──▶ send

A call costs microseconds, a batch one round trip. This module loads no MLflow.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Final

from sparkopt.tracking.trial import batch_bytes

SECONDS: Final = 1.0
"""Seconds that an entry may wait."""

ENTRIES: Final = 1000
"""How many entries a batch may have: MLflow's limit."""

_FEW: Final = 100
"""How many of these may be parameters, or tags: MLflow's limit."""

_CHARACTERS: Final = 400_000
"""How long the values of parameters and tags may be together: half of MLflow's limit, which is in bytes."""


@dataclass(slots=True)
class _Batch:
    metrics: list[bytes] = field(default_factory=list)
    params: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)

    def messages(self, run_id: str) -> Iterator[bytes]:
        metrics, params, tags = iter(self.metrics), iter(self.params.items()), iter(self.tags.items())
        while True:
            some_params = [batch_bytes.text_entry(*each) for each in islice(params, _FEW)]
            some_tags = [batch_bytes.text_entry(*each) for each in islice(tags, _FEW)]
            some_metrics = list(islice(metrics, ENTRIES - len(some_params) - len(some_tags)))
            if not (some_metrics or some_params or some_tags):
                return
            yield batch_bytes.log_batch(run_id, some_metrics, some_params, some_tags)


class Buffer:
    """Gathers for all runs of a trial. May be used from any thread.

    Attributes:
        send: sends a batch, which is MLflow's message LogBatch, and returns once it is written.
    """

    send: Callable[[bytes], None]

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._batches: dict[str, _Batch] = {}
        self._entries = 0
        self._characters = 0
        self._timer: threading.Timer | None = None
        self._error: Exception | None = None

    def add(
        self,
        run_id: str,
        metrics: Sequence[bytes] = (),
        params: Sequence[tuple[str, str]] = (),
        tags: Sequence[tuple[str, str]] = (),
    ) -> None:
        """Take entries in. If a tag comes twice, its last value counts.

        Args:
            run_id: the run that they belong to.
            metrics: MLflow's message for each.
            params: their names and values.
            tags: their names and values.

        Raises:
            Exception: what sending an earlier batch has raised meanwhile.
        """
        with self._lock:
            self._raise_error()
            batch = self._batches.setdefault(run_id, _Batch())
            batch.metrics += metrics
            for kept, new in ((batch.params, params), (batch.tags, tags)):
                for key, value in new:
                    kept[key] = value
                    self._characters += len(value)
            self._entries += len(metrics) + len(params) + len(tags)
            full = (
                self._entries >= ENTRIES
                or len(batch.params) >= _FEW
                or len(batch.tags) >= _FEW
                or self._characters >= _CHARACTERS
            )
            if not full and self._timer is None:
                self._timer = threading.Timer(SECONDS, self._flush_late)
                self._timer.daemon = True
                self._timer.start()
        if full:
            self.flush()

    def flush(self) -> None:
        """Send what is here, and wait until it is written.

        Raises:
            Exception: the first that sending has raised, now or meanwhile.
        """
        with self._sending:
            with self._lock:
                batches, self._batches = self._batches, {}
                self._entries = self._characters = 0
                timer, self._timer = self._timer, None
            if timer is not None:
                timer.cancel()
            for run_id, batch in batches.items():
                for message in batch.messages(run_id):
                    try:
                        self.send(message)
                    except Exception as error:  # noqa: BLE001 - raised below, once the rest is sent
                        self._error = self._error or error
        with self._lock:
            self._raise_error()

    def _flush_late(self) -> None:
        try:
            self.flush()
        except Exception as error:  # noqa: BLE001 - for the objective's next call
            self._error = error

    def _raise_error(self) -> None:
        error, self._error = self._error, None
        if error is not None:
            raise error
