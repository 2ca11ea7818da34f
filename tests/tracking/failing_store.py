"""A store that fails on demand, and the records of a run."""

from __future__ import annotations

import threading

from sparkopt.tracking.run_records import Create, End, Log, LogArtifact
from sparkopt.tracking.store import Store

TAGS = {"fmin_uuid": "abc123", "tid": "7"}
RECORDS = [
    Create(7, "trial 7", 1000, TAGS),
    Log(7, {"x": "1.5"}),
    LogArtifact(7, "texts/note.txt", b"\x00\xffbytes"),
    Log(7, metrics=[("loss", 2.5, 1500, 0), ("loss", 1.5, 1600, 1)], tags={"kind": "ünusual"}),
    End(7, "FAILED", 2000),
]


class FailingStore(Store):
    """A real store that fails on demand, and says what it was given."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.failures = []
        self.written = []
        self.go_on = threading.Event()
        self.go_on.set()

    def write(self, record, again=False):
        self.go_on.wait()
        if self.failures and (failure := self.failures.pop(0)) is not None:
            raise failure
        self.written.append((record, again))
        super().write(record, again)
