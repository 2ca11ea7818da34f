"""Records of benchmarks: what is written can be read, and limits say what is the matter."""

from __future__ import annotations

import json

import pytest

from benchmarks.record import Limit, Record


@pytest.mark.parametrize(
    ("limit", "met", "text"),
    [
        (Limit("overhead", 0.6, 0.55, unit="ms"), True, "overhead: at most 0.6 ms; measured 0.55 ms, met"),
        (Limit("overhead", 0.6, 0.6, unit="ms"), True, "overhead: at most 0.6 ms; measured 0.6 ms, met"),
        (
            Limit("overhead", 0.6, 0.75, unit="ms"),
            False,
            "overhead: at most 0.6 ms; measured 0.75 ms, missed by 0.15 ms (25%)",
        ),
        (
            Limit("times less", 1500, 1200.4, at_least=True, unit="x"),
            False,
            "times less: at least 1,500 x; measured 1,200 x, missed by 300 x (20%)",
        ),
        (Limit("share", 0.97, 0.98, at_least=True), True, "share: at least 0.97; measured 0.98, met"),
        (Limit("lost", 0, 2), False, "lost: at most 0; measured 2, missed by 2"),
        (Limit("share", 0.97, None, at_least=True), None, "share: at least 0.97; not measured"),
    ],
)
def test_a_limit_says_whether_it_is_met_and_by_how_much_not(limit, met, text):
    assert limit.met is met
    assert limit.text == text


def test_a_record_that_was_written_can_be_read(tmp_path):
    record = Record(
        "overhead",
        {"trials": 20},
        {"ms_per_trial": {"sparkopt": [1.0, 2.0]}},
        {"ray-tune": "not installed: ray"},
        [Limit("overhead", 0.6, None, unit="ms")],
        seconds=1.5,
        load=0.1,
    )
    path = tmp_path / "overhead.json"
    record.write(path)
    assert Record.read(path) == record
    assert record.machine["cores"]
    assert record.versions["pyspark"]


def test_a_record_has_a_line_for_each_of_its_fields(tmp_path):
    path = tmp_path / "overhead.json"
    Record("overhead", {}, {"one": [1.0] * 1000, "two": {"three": 3}}).write(path)
    lines = path.read_text().splitlines()
    assert sum(line.startswith('  "one"') for line in lines) == 1
    assert sum(line.startswith('  "two"') for line in lines) == 1
    assert json.loads(path.read_text())["figures"]["two"] == {"three": 3}


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"question": "overhead"}', '{"limits": [{"what": "x"}]}'])
def test_a_file_that_is_no_record_is_refused_by_name(tmp_path, text):
    path = tmp_path / "overhead.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"overhead\.json is no record.*python -m benchmarks overhead"):
        Record.read(path)
