"""A store that fails on demand, the records of a run, and what they make."""

from __future__ import annotations

import threading

from sparkopt.tracking.run_records import Create, End, Log, LogArtifact
from sparkopt.tracking.store import Store
from tests.tracking.runs import all_runs, content

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


def check_run(client):
    """The run that RECORDS make, and nothing else but the study's own."""
    (run,) = [run for run in all_runs(client) if run.data.tags.get("tid") == "7"]
    assert (run.info.run_name, run.info.status) == ("trial 7", "FAILED")
    assert (run.info.start_time, run.info.end_time) == (1000, 2000)
    assert run.data.params == {"x": "1.5"}
    assert run.data.metrics == {"loss": 1.5}
    history = client.get_metric_history(run.info.run_id, "loss")
    assert [(each.value, each.timestamp, each.step) for each in history] == [(2.5, 1500, 0), (1.5, 1600, 1)]
    assert run.data.tags["kind"] == "ünusual"
    assert content(client, run, "texts/note.txt") == b"\x00\xffbytes"
