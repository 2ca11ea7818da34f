"""``sparkopt trials``: selection, order and format of the list."""

from __future__ import annotations

import csv
import io
import json

import pytest

COLUMNS = "tid study state loss seconds attempt worker host submitted started settled reason request_id"


@pytest.fixture(scope="module")
def tids(shell):
    """The trials of these tests by what they are for; there are others."""
    points = [
        ("three", {"x": 3, "runs": "/dev/null"}),
        ("fails", {"x": 7, "raises": 'no "x", so\nno loss; =1+1'}),
        ("one", {"x": 1}),
        (
            "two",
            {"x": 2, "loss": 'a "b", c', "deep": {"z": [1, None], "a": True}, "nothing": None, "text": ""},
        ),
    ]
    lines = "".join(json.dumps(point) + "\n" for _, point in points)
    printed = shell.run("evaluate", "-", stdin=lines, code=5)
    found = {
        json.loads(line)["line"]: json.loads(line)["tid"] for line in printed.splitlines() if line[0] == "{"
    }
    return {name: found[number] for number, (name, _) in enumerate(points, 1)}


def of(tids, rows):
    """Those of these tests, by name."""
    names = {tid: name for name, tid in tids.items()}
    return [names[int(row["tid"])] for row in rows if int(row["tid"]) in names]


def read(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_they_are_sorted_and_those_without_it_come_last(shell, tids):
    assert of(tids, shell.json("trials")) == sorted(tids, key=lambda name: tids[name])
    assert of(tids, shell.json("trials", "--desc")) == sorted(tids, key=lambda name: -tids[name])
    assert of(tids, shell.json("trials", "--sort", "loss")) == ["one", "two", "three", "fails"]
    assert of(tids, shell.json("trials", "--sort", "loss", "--desc")) == ["three", "two", "one", "fails"]
    assert of(tids, shell.json("trials", "--sort", "tid")) == sorted(tids, key=lambda name: tids[name])
    for column in COLUMNS.split()[:-2]:
        rows = shell.json("trials", "--sort", column)
        there = [row[column] for row in rows if row[column] is not None]
        assert there == sorted(there), column
    assert "--sort" in shell.run("trials", "--sort", "luck", code=2)


def test_only_so_many_are_printed(shell, tids):
    best = shell.json("trials", "--state", "ok", "--sort", "loss", "--limit", "2")
    everything = shell.json("trials", "--state", "ok", "--sort", "loss")
    assert best == everything[:2]
    assert shell.json("trials", "--limit", "1") == shell.json("trials")[:1]
    assert shell.json("trials", "--limit", "0") == []
    assert len(read(shell.run("trials", "--csv", "--limit", "3"))) == 3


def test_csv_has_a_column_for_each_label_behind_the_others(shell, tids):
    text = shell.run("trials", "--csv")
    header = text.splitlines()[0].split(",")
    assert header[:13] == COLUMNS.split()
    labels = [label.removeprefix("values.") for label in header[13:]]
    assert labels == sorted(labels)
    assert {"deep", "values.loss", "nothing", "raises", "runs", "text", "x"} <= set(header[13:])
    rows = {int(row["tid"]): row for row in read(text)}
    two, fails = rows[tids["two"]], rows[tids["fails"]]
    assert two["values.loss"] == 'a "b", c'
    assert json.loads(two["deep"]) == {"a": True, "z": [1, None]}
    assert (two["x"], two["loss"], two["nothing"], two["text"], two["runs"]) == ("2", "4.0", "", "", "")
    assert fails["raises"] == 'no "x", so\nno loss; =1+1'
    assert (fails["state"], fails["x"], fails["loss"]) == ("failed", "7", "")
    assert fails["reason"].startswith('ValueError: no "x", so')
    listed = {row["tid"]: row for row in shell.json("trials")}
    assert two["submitted"] == listed[tids["two"]]["submitted"]
    assert two["seconds"] == str(listed[tids["two"]]["seconds"])


def test_csv_of_nothing_is_its_header(shell):
    assert shell.run("trials", "--csv", "--state", "lost").strip() == COLUMNS.replace(" ", ",")


def test_csv_and_json_are_one_too_many(shell):
    assert "--json" in shell.run("trials", "--csv", "--json", code=2)


def test_labels_have_the_same_order_each_time(shell, tids):
    two = next(row for row in shell.json("trials") if row["tid"] == tids["two"])
    assert list(two["values"]) == ["deep", "loss", "nothing", "text", "x"]
    assert list(two["values"]["deep"]) == ["a", "z"]


def test_the_values_of_a_trial_that_failed_are_shown(shell, tids):
    (line,) = (line for line in shell.run("trials").splitlines() if f"/{tids['fails']} " in line)
    assert '"x": 7' in line
    assert 'ValueError: no "x", so' in line


def test_thousands_come_page_by_page(shell, client):
    points = [{"x": x} for x in range(2500)]
    losses = sorted(evaluation.loss for evaluation in client.evaluate(points))
    text = shell.run("trials", "--csv", "--sort", "loss", "--desc", "--limit", "2000")
    assert [float(row["loss"]) for row in read(text)] == losses[:-2001:-1]
    assert len(shell.json("trials")) >= 2500
