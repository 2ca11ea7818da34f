"""Records on their way through a file."""

from __future__ import annotations

import pytest

from sparkopt.tracking.run_records import Create, End, Log, LogArtifact, from_line, to_line

RECORDS = [
    Create(7, "trial 7", 1000, {"fmin_uuid": "abc123", "tid": "7"}),
    Log(7, {"x": "1.5"}),
    LogArtifact(7, "texts/note.txt", b"\x00\xffbytes"),
    Log(7, metrics=[("loss", 2.5, 1500, 0), ("loss", 1.5, 1600, 1)], tags={"kind": "ünusual"}),
    LogArtifact(None, "of the study.txt", b""),
    End(7, "FAILED", 2000),
]


@pytest.mark.parametrize("record", RECORDS)
def test_a_record_is_the_same_after_its_way_through_a_file(record):
    assert from_line(to_line(record)) == record
