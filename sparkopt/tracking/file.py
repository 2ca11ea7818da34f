"""Records that a store could not take, in a file: a line that says where they belong, and a line for each.

Large artifacts are files of their own, in a directory beside it.
"""

from __future__ import annotations

import dataclasses
import io
import json
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

import mlflow

from sparkopt.errors import TrackingError
from sparkopt.tracking.masking import MASK, mask
from sparkopt.tracking.run_records import LogArtifact, Record, from_line, to_line
from sparkopt.tracking.store import Store
from sparkopt.wire import owner_only

_RUNS: Final = "runs"
"""Begins a line with ids of runs that were created after the file."""

_FORMAT = "sparkopt tracking records 1"


class RecordFile:
    """A file of records that is being written.

    Attributes:
        count: how many records it has.
    """

    def __init__(self, file: IO[str], artifacts: Path, store: Store) -> None:
        self._file = file
        self._artifacts = artifacts
        self._runs = store.runs
        self._said = set(store.runs)
        self.count = 0

    @classmethod
    def create(cls, path: Path, store: Store, artifacts: Path | None = None) -> RecordFile:
        """Make a new file for records of this store, which its owner alone can read. It gets no password.

        Args:
            path: of the file.
            store: the store.
            artifacts: the directory for large artifacts, beside the file; None for the file's own.
        """
        file = io.TextIOWrapper(owner_only.create(path), encoding="utf-8")
        head = {
            "format": _FORMAT,
            "uri": mask(store.uri),
            "experiment": store.experiment,
            "main": store.main,
            "runs": store.runs,
        }
        file.write(json.dumps(head) + "\n")
        return cls(file, artifacts or artifacts_of(path), store)

    def add(self, record: Record) -> None:
        """Write a record; it is in the file when this returns. An artifact that is a file is moved."""
        if isinstance(record, LogArtifact) and record.file is not None:
            kept = Path(record.file)
            if kept.parent != self._artifacts:
                self._artifacts.mkdir(mode=0o700, exist_ok=True)
                kept = self._artifacts / uuid.uuid4().hex
                shutil.move(record.file, kept)
            record = dataclasses.replace(record, file=f"{self._artifacts.name}/{kept.name}")
        run = record.run
        if run in self._runs and run not in self._said:  # it was created after the file
            self._said.add(run)
            self._file.write(json.dumps({_RUNS: {run: self._runs[run]}}) + "\n")
        self._file.write(to_line(record) + "\n")
        self._file.flush()
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def artifacts_of(path: Path) -> Path:
    """The directory with the large artifacts of a file of records."""
    return path.with_suffix(".files")


def read(path: Path, file: IO[str], uri: str | None) -> tuple[Store, list[Record]]:
    """Read a file of records.

    Args:
        path: of the file.
        file: open at its beginning.
        uri: where the store is now; by default where it was, with the password that MLflow's own setting has.

    Raises:
        TrackingError: if the file is not a file of records.
    """
    store = _store_of(path, file.readline(), uri)
    return store, list(_records(path, file, store))


def _store_of(path: Path, line: str, uri: str | None) -> Store:
    try:
        head = json.loads(line)
        if head["format"] != _FORMAT:
            raise ValueError(head["format"])
        runs = {int(tid): run for tid, run in head["runs"].items()}
        return Store(_address(path, uri, head["uri"]), head["experiment"], head["main"], runs)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrackingError(f"{path} is not a file of records that sparkopt has kept for a store") from error


def _address(path: Path, given: str | None, written: str) -> str:
    """Returns the address of the store, with its password."""
    if given or MASK not in written:
        return given or written
    now = str(mlflow.get_tracking_uri())
    if mask(now) == written:
        return now
    raise TrackingError(
        f"{path} belongs to the tracking store {written}, and does not hold its password: set"
        " MLFLOW_TRACKING_URI to the whole address, or give it with --tracking-uri"
    )


def _records(path: Path, lines: Iterator[str], store: Store) -> Iterator[Record]:
    for number, line in enumerate(lines, start=2):
        try:
            if line.startswith(f'{{"{_RUNS}"'):
                store.runs |= {int(tid): str(run) for tid, run in json.loads(line)[_RUNS].items()}
                continue
            record = from_line(line)
        except ValueError as error:
            raise TrackingError(f"{path}, line {number}: {error}") from error
        if isinstance(record, LogArtifact) and record.file is not None:
            record = dataclasses.replace(record, file=str(path.parent / record.file))
        yield record
