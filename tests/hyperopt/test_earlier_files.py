"""Files that version 0.1 wrote: twelve trials of a random search, of which one failed."""

from __future__ import annotations

import gzip
import random
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from hyperopt import base, hp, rand

from sparkopt import SparkTrials, fmin
from sparkopt.errors import RefusedError
from sparkopt.hyperopt import savefile
from sparkopt.study.journal import Identity, Journal
from sparkopt.wire import codec
from tests.study import journals

EARLIER = Path(__file__).with_name("earlier")


class TestEarlier:
    SPACE = hp.uniform("x", -5, 5)

    @staticmethod
    def objective(x):
        if x > 4:
            raise ValueError("too far")
        return {"status": "ok", "loss": x, "attachments": {"note": "kept"}}

    @pytest.fixture
    def named(self, monkeypatch):
        objective = self.objective
        monkeypatch.setattr(objective, "__module__", "earlier")
        monkeypatch.setattr(objective, "__qualname__", "objective")
        return objective

    def unpacked(self, tmp_path, name):
        for suffix in ("", "-wal"):
            packed = EARLIER / f"{name}{suffix}.gz"
            if packed.exists():
                (tmp_path / f"{name}{suffix}").write_bytes(gzip.decompress(packed.read_bytes()))
        return tmp_path / name

    @pytest.mark.parametrize(("name", "there"), [("closed.journal", 12), ("killed.journal", 4)])
    def test_a_journal(self, new_trials, tmp_path, named, name, there):
        path = self.unpacked(tmp_path, name)

        def search(count, **more):
            trials = new_trials(parallelism=1, **more)
            fmin(
                named,
                self.SPACE,
                rand.suggest,
                count,
                trials=trials,
                rstate=np.random.default_rng(1),
                verbose=False,
            )
            return [
                (document["tid"], document["state"], document["misc"]["vals"], document["result"])
                for document in trials._dynamic_trials
            ], trials

        anew, _ = search(12)
        found, trials = search(12, journal=path)
        assert found == anew
        assert trials.trial_attachments(trials.trials[0])["note"] == "kept"
        assert [each.name for each in tmp_path.iterdir()] == [name]
        again, _ = search(12, journal=path)
        assert again == anew
        with sqlite3.connect(path) as database:
            openings = {opening for (opening,) in database.execute("select opening from trials")}
        database.close()
        assert openings == ({0} if there == 12 else {0, 1})

    def test_a_journal_of_another_search_stays_as_it_is(self, tmp_path):
        path = self.unpacked(tmp_path, "killed.journal")
        before = journals.listing(tmp_path)
        with closing(Journal(path)) as journal, pytest.raises(RefusedError, match="another space"):
            journal.check(journals.IDENTITY)
        assert journals.listing(tmp_path) == before

    def test_damage_at_random(self, tmp_path, named, monkeypatch):
        domain = base.Domain(named, self.SPACE)
        monkeypatch.setattr(journals, "IDENTITY", Identity.of(domain.expr, named, rand.suggest))
        path = tmp_path / "journal"
        for seed in range(40):
            chance = random.Random(seed)
            name = chance.choice(("closed.journal", "killed.journal"))
            results = []
            for damaged in (False, True):
                shutil.rmtree(tmp_path)
                tmp_path.mkdir()
                unpacked = self.unpacked(tmp_path, name)
                for each in sorted(tmp_path.iterdir()):
                    each.rename(tmp_path / each.name.replace(unpacked.name, "journal"))
                if damaged:
                    journals.damage(path, chance)
                entries, _, _ = journals.told_of(path)
                results.append(
                    {
                        entry.tid: (codec.loads(entry.own), entry.result and entry.result.body)
                        for entry in entries or ()
                    }
                )
            true, found = results
            for tid, (document, result) in found.items():
                assert document == true[tid][0], seed
                assert result in (None, true[tid][1]), seed

    def test_saved_trials(self, new_trials, tmp_path, named):
        (tmp_path / "trials").write_bytes(gzip.decompress((EARLIER / "trials.gz").read_bytes()))
        trials = savefile.load(tmp_path / "trials")
        assert isinstance(trials, SparkTrials)
        assert trials.count_successful_trials() == 11
        assert trials.argmin == {"x": min(trials.losses())}
        fmin(named, self.SPACE, rand.suggest, 13, trials=trials, verbose=False)
        assert trials.count_total_trials() == 14
