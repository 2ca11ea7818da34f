"""``sparkopt journal`` on both kinds of journals: show, export, verify, copy."""

from __future__ import annotations

import csv
import io
import json
import pickle
from contextlib import closing

import pandas as pd
import pytest
from click.testing import CliRunner

from sparkopt import read_journal
from sparkopt.cli import main
from sparkopt.errors import RefusedError
from sparkopt.study.journal import open_journal
from tests.study import journals

STATES = {"failed": 3, "lost": 2, "ok": 15}


class Tripwire:
    """Raises where it is unpickled."""

    def __reduce__(self):
        return _unpickled, ()


def _unpickled():
    raise AssertionError("it was unpickled")


@pytest.fixture(params=["file", "directory"])
def place(request, tmp_path):
    path = tmp_path / "journal"
    if request.param == "directory":
        path.mkdir()
    blobs = tmp_path / "blobs"
    blobs.mkdir()
    truth = journals.Truth()
    with closing(open_journal(path)) as journal:
        journal.check(journals.IDENTITY)
        journals.write(journal, truth, range(20), blobs)
        journal.submitted([(20, pickle.dumps(journals.document(20)))], b"state")
    return path


def run(*arguments, code=0):
    result = CliRunner().invoke(main, ["journal", *map(str, arguments)])
    assert result.exit_code == code, result.output
    return result.output


def test_show(place):
    before = journals.listing(place.parent)
    lines = run("show", place).splitlines()
    assert lines[:2] == ["objective: tests.objective", "algorithm: tests.algorithm"]
    assert lines[2] == "trials: 21 (3 failed, 2 lost, 15 ok, 1 submitted)"
    (failed,) = [line for line in lines if line.split()[:1] == ["3"]]
    assert failed.split()[1] == "failed"
    assert failed.rstrip().endswith("of 3")
    assert journals.listing(place.parent) == before


def test_export_as_json(place):
    rows = [json.loads(line) for line in run("export", place).splitlines()]
    assert [row["tid"] for row in rows] == list(range(21))
    assert {state: sum(row["state"] == state for row in rows) for state in STATES} == STATES
    assert rows[8]["reports"] == 2
    assert rows[0]["loss"] is None
    assert rows[0]["values"] == {}


def test_values_are_for_those_who_trust_it(place):
    rows = [json.loads(line) for line in run("export", place, "--trust").splitlines()]
    assert rows[7]["values"] == {"x": 1.0}
    assert rows[9]["loss"] == 3.0
    assert rows[3]["loss"] is None


def test_export_as_csv(place):
    rows = list(csv.DictReader(io.StringIO(run("export", place, "--csv", "--trust"))))
    assert len(rows) == 21
    assert rows[7]["values.x"] == "1.0"
    assert rows[20]["state"] == "submitted"


def test_nothing_is_unpickled_without_trust(tmp_path):
    with closing(open_journal(tmp_path / "journal")) as journal:
        journal.check(journals.IDENTITY)
        journal.submitted([(0, pickle.dumps(Tripwire()))], pickle.dumps(Tripwire()))
    for command in ("show", "export", "verify"):
        run(command, tmp_path / "journal")
    assert "it was unpickled" in run("export", tmp_path / "journal", "--trust", code=1)


def test_a_data_frame(place):
    frame = read_journal(place, trust=True)
    assert isinstance(frame, pd.DataFrame)
    assert len(frame) == 21
    assert frame["values.x"][7] == 1.0
    assert frame.groupby("state").size().to_dict() == {**STATES, "submitted": 1}


def test_verify(place):
    assert "21 trials, all as they were written" in run("verify", place)
    large = place / "large" if place.is_dir() else place.with_name("journal-files")
    victim = next(file for file in sorted(large.iterdir()) if "result-7" in file.name)
    victim.write_bytes(b"another")
    assert "of trial 7 is missing, or not what was written" in run("verify", place, code=1)
    assert json.loads(run("verify", place, "--json", code=1).splitlines()[0])["trials"] == 21


@pytest.mark.parametrize("kind", ["file", "directory"])
def test_copy(place, tmp_path, kind):
    target = tmp_path / "copy"
    if kind == "directory":
        target.mkdir()
    assert "21 trials copied" in run("copy", place, target)
    assert run("export", target, "--trust") == run("export", place, "--trust")
    assert "is there already" in run("copy", place, target, code=2)
    entries, state, told = journals.told_of(target)
    assert told == []
    assert [entry.tid for entry in entries] == list(range(21))
    assert state.value == b"state"
    before, _, _ = journals.told_of(place)
    assert entries == before


def test_what_is_no_journal(tmp_path):
    assert "there is no journal" in run("show", tmp_path / "nothing", code=2)
    (tmp_path / "empty").mkdir()
    assert "there is no journal" in run("show", tmp_path / "empty", code=2)
    with pytest.raises(RefusedError, match="there is no journal"):
        read_journal(tmp_path / "nothing")
