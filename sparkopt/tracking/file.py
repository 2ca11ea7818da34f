"""Records that a store could not take, in a file: a line that says where they belong, and a line for each."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

import mlflow

from sparkopt.errors import TrackingError
from sparkopt.tracking.masking import MASK, mask, shown_cause
from sparkopt.tracking.run_records import Record, from_line, to_line
from sparkopt.tracking.store import Store
from sparkopt.wire import owner_only

_FORMAT = "sparkopt tracking records 1"


class RecordFile:
    """A file of records that is being written.

    Attributes:
        count: how many records it has.
    """

    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self.count = 0

    @classmethod
    def create(cls, path: Path, store: Store) -> RecordFile:
        """Make a new file for records of this store, which its owner alone can read. It gets no password."""
        file = io.TextIOWrapper(owner_only.create(path), encoding="utf-8")
        head = {
            "format": _FORMAT,
            "uri": mask(store.uri),
            "experiment": store.experiment,
            "main": store.main,
            "runs": store.runs,
        }
        file.write(json.dumps(head) + "\n")
        return cls(file)

    def add(self, record: Record) -> None:
        """Write a record; it is in the file when this returns."""
        self._file.write(to_line(record) + "\n")
        self._file.flush()
        self.count += 1

    def close(self) -> None:
        """Finish the file."""
        self._file.close()


def replay(path: Path, uri: str | None = None, progress: Callable[[int], None] = lambda done: None) -> int:
    """Write the records of a file to their store, and remove the file.

    If the store fails again, the file keeps what is not written yet, and can be replayed once more.

    Args:
        path: of the file.
        uri: where the store is now; by default where it was, with the password that MLflow's own setting has.
        progress: called with the number of records that are written.

    Returns:
        How many records were written.

    Raises:
        TrackingError: if the file is none of ours, or the store fails.
    """
    with path.open(encoding="utf-8") as file:
        store = _store_of(path, file.readline(), uri)
        records = list(_records(path, file))
    for done, record in enumerate(records):
        failed = _write(store, record)
        if failed is not None:
            _keep_rest(path, store, records[done:])
            raise TrackingError(
                f"the tracking store {mask(store.uri)} took {done} of {len(records)} records"
                f" ({type(failed).__name__}: {mask(str(failed), store.uri)}); the rest is still in {path}"
            ) from shown_cause(failed, store.uri)
        progress(done + 1)
    path.unlink()
    return len(records)


def _write(store: Store, record: Record) -> Exception | None:
    """Write a record, and return what the store has raised."""
    try:
        store.write(record, again=True)
    except Exception as error:  # noqa: BLE001 - what stores raise is theirs to choose
        return error
    return None


def _store_of(path: Path, line: str, uri: str | None) -> Store:
    try:
        head = json.loads(line)
        if head["format"] != _FORMAT:
            raise ValueError(head["format"])
        runs = {int(tid): run for tid, run in head["runs"].items()}
        return Store(_address(path, uri, head["uri"]), head["experiment"], head["main"], runs)
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise TrackingError(f"{path} is no file of records that sparkopt has kept for a store") from error


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


def _records(path: Path, lines: Iterator[str]) -> Iterator[Record]:
    for number, line in enumerate(lines, start=2):
        try:
            yield from_line(line)
        except ValueError as error:
            raise TrackingError(f"{path}, line {number}: {error}") from error


def _keep_rest(path: Path, store: Store, records: list[Record]) -> None:
    beside = path.with_name(f"{path.name}.new")
    rest = RecordFile.create(beside, store)
    for record in records:
        rest.add(record)
    rest.close()
    beside.replace(path)
