"""Damage to a journal: the rest is read as it was written; lost parts are reported and run again."""

from __future__ import annotations

import os
import pickle
import random
import shutil
import sqlite3
import sys
import warnings
from contextlib import closing

import numpy as np
import pytest
from hyperopt import hp, rand

from sparkopt import fmin
from sparkopt.errors import JournalError, JournalWarning
from sparkopt.study.journal import Journal
from tests.study import journals

QUICK = range(40)
HUNDRED = 100
SLOW = range(0, 1000, HUNDRED)


def change(path, *statements):
    """Change a journal by SQL, as somebody else would."""
    with closing(sqlite3.connect(path)) as database, database:
        for statement in statements:
            database.execute(statement)


class TestChance:
    """Seeds are in what a failure says."""

    @pytest.mark.parametrize("name", ["closed", "killed"])
    def test_one_that_is_not_damaged_is_whole(self, written, tmp_path, name):
        directory, truths = written
        path = journals.copied(directory / name, tmp_path / "copy")
        assert journals.compare(path, truths[name], False) == "whole"
        assert journals.told_of(path)[2] == []

    def test_damage_at_random(self, written, tmp_path):
        became = [journals.strike(*written, seed, tmp_path / "copy")[1] for seed in QUICK]
        assert {"whole", "some run again", "some lost"} <= {*became}

    @pytest.mark.slow
    @pytest.mark.parametrize("first", SLOW)
    def test_damage_at_random_a_thousand_times(self, written, tmp_path, capsys, first):
        counts = {}
        for seed in range(first, first + HUNDRED):
            _, became = journals.strike(*written, seed, tmp_path / "copy")
            counts[became] = counts.get(became, 0) + 1
        with capsys.disabled():
            sys.stdout.write(f"\nseeds {first} to {seed}: {counts}\n")
        assert counts.get("refused", 0) < HUNDRED / 10

    def test_nothing_of_a_journal_that_was_overwritten_comes_back(self, closed):
        path, truth = closed
        path.write_bytes(path.read_bytes()[:100] + random.Random(1).randbytes(path.stat().st_size - 100))
        assert journals.compare(path, truth, False) == "refused"


class TestRows:
    """Each is whole by itself, but does not stand where it was written."""

    @pytest.mark.parametrize(
        "statement",
        [
            "delete from trials where tid = 7",
            "delete from trials where tid = 59",
            "delete from trials",
            "delete from reports where tid = 8 and nth = 2",
            "delete from reports",
            "update trials set tid = 99 where tid = 7",
            "update trials set body = (select body from trials where tid = 8) where tid = 7",
            "update trials set document = (select document from trials where tid = 8) where tid = 7",
            "update trials set (body, file, digest, outcome_seal) ="
            " (select body, file, digest, outcome_seal from trials where tid = 8) where tid = 7",
            "update trials set (document, proposal_seal) ="
            " (select document, proposal_seal from trials where tid = 8) where tid = 7",
            "update trials set started = started + 1",
            "update trials set outcome = 'failed' where tid = 7",
            "update trials set outcome = null where tid = 7",
            "update trials set place = 3 where tid = 7",
            "update trials set reason = 'another' where tid = 3",
            "update trials set rstate = (select rstate from trials where tid = 8) where tid = 59",
            "update reports set tid = 5 where tid = 8",
            "update reports set nth = 3 - nth where tid = 8",
            "update reports set body = x'00' where tid = 8",
            "update reports set name = 'another' where tid = 8",
            "insert into trials select 60, number, asked, document, proposal_seal, rstate, rstate_seal,"
            " started, started_seal, outcome, settled, place, kind, reason, body, file, digest, opening,"
            " reports, outcome_seal from trials where tid = 7",
            "insert into reports select number + 100, tid, opening, nth + 2, kind, name, body, file, digest,"
            " seal from reports where tid = 8",
            "update meta set value = 'another' where key = 'space'",
            "delete from meta",
            "drop table meta",
            "drop table trials",
            "drop table reports",
            "alter table trials add column another",
            "alter table reports rename to other",
            "alter table trials rename column body to other",
            "pragma user_version = 3",
            "pragma application_id = 0",
        ],
    )
    def test_it_is_told(self, closed, statement):
        path, truth = closed
        change(path, statement)
        became = journals.compare(path, truth, False)
        assert became != "whole" or "started" in statement or journals.told_of(path)[2] == []
        assert became != "refused"

    @pytest.mark.parametrize(
        "script",
        [
            "alter table trials rename to other; create view trials as select * from other;",
            "alter table trials rename column body to other;",
            "create trigger other before insert on trials begin select raise(ignore); end;",
            "create trigger other after update on trials begin delete from trials where tid = 7; end;",
            "create unique index other on trials (asked, tid);",
        ],
    )
    def test_a_schema_that_would_change_or_refuse_what_is_written(self, closed, script):
        path, truth = closed
        with closing(sqlite3.connect(path)) as database:
            database.executescript(script)
        _, _, (told,) = journals.told_of(path)
        assert "somebody has" in told
        assert journals.compare(path, truth, False) == "whole"
        assert journals.told_of(path)[2] == []

    def test_a_header_that_forbids_writing(self, closed):
        path, truth = closed
        data = bytearray(path.read_bytes())
        data[18] ^= 1
        path.write_bytes(data)
        assert journals.compare(path, truth, False) == "whole"

    def test_those_of_another_journal(self, closed, tmp_path):
        path, truth = closed
        journals.make(tmp_path / "other", first=1)
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("attach ? as other", (str(tmp_path / "other" / "closed"),))
            database.execute("delete from trials where tid in (7, 8)")
            database.execute("insert into trials select * from other.trials where tid in (7, 8)")
        assert journals.compare(path, truth, False) == "some lost"

    def test_both_copies_of_what_it_is_about(self, closed):
        path, truth = closed
        change(path, "pragma secure_delete = on", "delete from meta", "delete from meta_again")
        assert journals.compare(path, truth, False) == "refused"


class TestLog:
    def test_one_of_another_journal(self, killed, tmp_path):
        path, truth = killed
        journals.make(tmp_path / "other")
        shutil.copyfile(tmp_path / "other" / "killed-wal", journals.log_of(path))
        assert journals.compare(path, truth, False) in ("some lost", "some run again")

    def test_one_that_is_missing(self, killed):
        path, truth = killed
        journals.log_of(path).unlink()
        assert journals.compare(path, truth, False) in ("some lost", "some run again")

    @pytest.mark.parametrize("length", [0, 20, 5000])
    def test_one_that_has_lost_its_bytes(self, killed, length):
        path, truth = killed
        journals.log_of(path).write_bytes(bytes(length))
        assert journals.compare(path, truth, False) in ("some lost", "some run again")

    def test_one_of_a_search_that_was_killed_as_it_began(self, closed, tmp_path):
        path, truth = closed
        (tmp_path / "killed").mkdir()
        with closing(Journal(path)) as journal:
            journal.check(journals.IDENTITY)
            copy = journals.copied(path, tmp_path / "killed")
        assert journals.compare(copy, truth, False) == "whole"
        assert journals.told_of(copy)[2] == []

    def test_one_without_its_journal(self, killed):
        path, truth = killed
        path.unlink()
        journals.compare(path, truth, False)

    @pytest.mark.parametrize("at", [0, 3, 17, 25])
    def test_a_header_with_another_byte(self, killed, at):
        path, truth = killed
        data = bytearray(journals.log_of(path).read_bytes())
        data[at] ^= 0xFF
        journals.log_of(path).write_bytes(data)
        assert journals.compare(path, truth, False) == "whole"

    def test_shared_memory_of_somebody_else(self, killed):
        path, truth = killed
        path.with_name("journal-shm").write_bytes(os.urandom(32768))
        assert journals.compare(path, truth, False) == "whole"

    def test_a_rollback_journal_that_is_not_its_own(self, closed):
        path, _ = closed
        path.with_name("journal-journal").write_bytes(os.urandom(2048))
        before = journals.listing(path.parent)
        with pytest.raises(JournalError, match=r"journal-journal that is not the journal's.*Move it away"):
            Journal(path)
        assert journals.listing(path.parent) == before


@pytest.mark.parametrize("how", ["removed", "renamed", "replaced"])
def test_one_that_is_not_in_its_place_any_more_is_told(closed, how):
    path, _ = closed
    journal = Journal(path)
    journal.check(journals.IDENTITY)
    if how == "replaced":
        shutil.copyfile(path, path.with_name("copy"))
        path.with_name("copy").replace(path)
    else:
        path.unlink() if how == "removed" else path.rename(path.with_name("old"))
    with pytest.warns(JournalWarning, match=f"journal {path} was removed, renamed or replaced"):
        journal.close()


def test_one_that_is_empty_is_told(tmp_path):
    (tmp_path / "journal").touch()
    with closing(Journal(tmp_path / "journal")) as journal, pytest.warns(JournalWarning, match="is empty"):
        journal.check(journals.IDENTITY)
    assert journals.told_of(tmp_path / "journal") == ([], None, [])


@pytest.mark.parametrize("seed", [3, 8, 21])
def test_a_search_goes_on_from_what_is_left(new_trials, tmp_path, seed):
    path = tmp_path / "journal"

    def search():
        trials = new_trials(parallelism=1, journal=path)
        fmin(
            lambda x: {"status": "ok", "loss": x, "note": "n" * 100},
            *(hp.uniform("x", -5, 5), rand.suggest, 40),
            trials=trials,
            rstate=np.random.default_rng(1),
            verbose=False,
        )
        return {
            document["tid"]: (document["misc"]["vals"]["x"], document["result"]["loss"])
            for document in trials._dynamic_trials
        }

    true = search()
    change(path, "vacuum")  # rows that have grown leave their bytes behind, whose damage is none
    data = bytearray(path.read_bytes())
    chance = random.Random(seed)
    # Somewhere in a row: the last pages hold those of trials.
    at = data.rfind(pickle.dumps("loss", 5)[2:-1], 0, chance.randrange(len(data) // 2, len(data)))
    data[at : at + 60] = chance.randbytes(60)
    path.write_bytes(data)
    with pytest.warns(JournalWarning, match=r"run again|proposed anew") as told:
        found = search()
    assert {*found} == {*true}
    differing = [tid for tid in true if found[tid] != true[tid]]
    assert len(differing) <= 1
    assert all(f"Of trials {differing} nothing could be read" in str(told[0].message) for _ in differing)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert search() == found
