"""RESULTS.md: made from records alone, with what is missed at its top."""

from __future__ import annotations

import re

import pytest

from benchmarks.plots import Bars, Lines, draw
from benchmarks.question import Form, question
from benchmarks.questions import QUESTIONS
from benchmarks.record import Limit, Record
from benchmarks.report import RECORDS, RESULTS, pictures, read_records, results, text_of
from benchmarks.statistics import Spread
from benchmarks.tables import Table


def tables(record):
    return [Table("a title", ("", "ms"), [(name, f"{value:g}") for name, value in record.figures.items()])]


def a_question(name):
    def measure():
        raise AssertionError("a report measures nothing")

    measure.__name__ = name
    form = Form(f"What is {name}?", tables, suits=lambda peer: True, tried=[f"another {name}: no better"])
    return question(form)(measure)


ASKED = {name: a_question(name) for name in ("speed", "memory")}

MACHINE = {"cores": 2, "system": "Linux", "processor": "a processor", "python": "3.11.7", "memory_gib": 23.5}


def a_record(name="speed", limits=(), machine=MACHINE, **more):
    fields = {"settings": {}, "figures": {"sparkopt": 0.5}, "time": "2026-01-01T00:00:00+00:00", **more}
    return Record(name, limits=list(limits), machine=machine, versions={"pyspark": "4.3.0"}, **fields)


MET = Limit("the speed", 1.0, 0.5, unit="ms")
MISSED = Limit("the other speed", 1.0, 1.5, unit="ms")
UNMEASURED = Limit("the third speed", 1.0, None, unit="ms")


def test_figures_are_those_of_the_records():
    text = results({"speed": a_record()}, ASKED, {})
    assert "## speed" in text
    assert "What is speed?" in text
    assert "| sparkopt | 0.5 |" in text
    assert "2026-01-01" in text


def test_missed_limits_come_first_with_by_how_much():
    records = {"speed": a_record(limits=[MET, UNMEASURED]), "memory": a_record("memory", limits=[MISSED])}
    text = results(records, ASKED, {})
    missed = text.index("**Missed: 1**")
    line = text.index(
        "- [memory](#memory): the other speed: at most 1 ms; measured 1.5 ms, missed by 0.5 ms (50%)"
    )
    unmeasured, met = text.index("the third speed"), text.index("the speed: at most 1 ms")
    assert missed < line < unmeasured < met < text.index("## Machine") < text.index("## speed")
    assert "All limits are met" not in text


def test_what_was_tried_is_told_of_those_questions_that_miss_a_limit():
    records = {
        "speed": a_record(limits=[MET, UNMEASURED]),
        "memory": a_record("memory", limits=[MET, MISSED]),
    }
    text = results(records, ASKED, {})
    assert "\n- another memory: no better\n" in text
    assert "another speed" not in text


def test_that_all_limits_are_met_is_said_when_all_were_measured():
    both = {"speed": a_record(limits=[MET]), "memory": a_record("memory", limits=[MET])}
    assert "All limits are met." in results(both, ASKED, {})
    partly = {**both, "memory": a_record("memory", limits=[UNMEASURED])}
    assert "All limits are met." not in results(partly, ASKED, {})
    assert "All limits are met." not in results({"speed": both["speed"]}, ASKED, {})


def test_a_question_without_a_record_is_named():
    text = results({"speed": a_record()}, ASKED, {})
    assert re.search(r"Without a record.*: memory$", text, re.MULTILINE)
    assert "## memory" not in text


def test_a_peer_that_was_missing_is_named_with_the_reason():
    text = results({"speed": a_record(missing={"ray-tune": "not installed: ray"})}, ASKED, {})
    assert "Missing: Ray Tune: not installed: ray." in text


def test_the_machine_is_told_once_unless_records_differ():
    same = {"speed": a_record(), "memory": a_record("memory")}
    assert results(same, ASKED, {}).count("2 cores (a processor), 23.5 GiB, Linux, Python 3.11.7") == 1
    other = {**same, "memory": a_record("memory", machine={**MACHINE, "cores": 64})}
    text = results(other, ASKED, {})
    assert "speed:\n\n2 cores" in text
    assert "memory:\n\n64 cores" in text


def test_the_command_that_measured_it_is_told():
    text = results({"speed": a_record(settings={"against": ["optuna", "hyperopt"]})}, ASKED, {})
    assert "`python -m benchmarks speed --against optuna hyperopt`" in text


def test_pictures_are_shown_where_there_are_any():
    text = results({"speed": a_record(), "memory": a_record("memory")}, ASKED, {"speed": "plots/speed.svg"})
    assert re.findall(r"!\[(.*?)\]\((.*?)\)", text) == [("What is speed?", "plots/speed.svg")]


def test_a_cell_cannot_break_its_table():
    table = Table("t", ("", "x"), [("a|b", "c\nd")])
    assert r"| a\|b | c d |" in table.markdown()


def test_records_are_read_by_the_names_of_questions(tmp_path):
    record = a_record("memory")
    record.write(tmp_path / "memory.json")
    (tmp_path / "else.json").write_text("not a record of a question that there is")
    assert read_records(tmp_path, ASKED) == {"memory": record}


@pytest.mark.parametrize(
    "picture",
    [
        Bars(
            "bars", "ms", {"sparkopt": Spread(1.0, 0.5, 2.0), "another": Spread(1000.0, 900.0, 1100.0)}, True
        ),
        Lines(
            "lines", "k", "ms", {"sparkopt": [(1.0, 2.0), (2.0, 3.0)], "another": [(1.0, 5.0), (2.0, 4.0)]}
        ),
    ],
    ids=["bars", "lines"],
)
def test_a_picture_names_everybody_and_is_the_same_each_time(tmp_path, picture):
    for name in ("one", "two"):
        draw(picture, tmp_path / f"{name}.svg")
    text = (tmp_path / "one.svg").read_text()
    assert text == (tmp_path / "two.svg").read_text()
    for name in ("sparkopt", "another"):
        assert f">{name}</text>" in text


def test_results_are_what_the_records_say():
    records = read_records(RECORDS, QUESTIONS)
    assert RESULTS.read_text() == text_of(records), "run: python -m benchmarks report"
    assert all(path.exists() for path in pictures(records).values())
