"""Conformance of all kinds of journals: going on, kills, damage, other searches, takeover, size."""

from __future__ import annotations

import dataclasses
import pickle
import random
import time
import warnings
from contextlib import closing

import pytest

from sparkopt.coordinator import Payload, Started
from sparkopt.core.states import Outcome
from sparkopt.errors import JournalError, RefusedError
from sparkopt.study.journal import open_journal
from sparkopt.study.journal.segments.log_thread import Pace
from sparkopt.study.journal.segments.object_stores import DirectoryStore
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from sparkopt.wire import codec
from tests.study import journal_kinds, journals

QUICK = range(25)
HUNDRED = 100


@pytest.fixture(params=["file", "directory", "whole files only"])
def place(request, tmp_path, monkeypatch):
    """A place for a journal of each kind."""
    path = tmp_path / "journal"
    if request.param == "file":
        yield path
        return
    path.mkdir()
    if request.param == "directory":
        yield path
        return
    with journal_kinds.whole_files_only(path, monkeypatch):
        yield path


@pytest.fixture
def blobs(tmp_path):
    directory = tmp_path / "blobs"
    directory.mkdir()
    return directory


def written(place, blobs, truth, tids):
    with closing(open_journal(place)) as journal:
        journal.check(journals.IDENTITY)
        journals.write(journal, truth, tids, blobs)
        journal.until_kept()


class TestGoingOn:
    def test_what_was_written_is_there(self, place, blobs):
        truth = journals.Truth()
        for tids in (range(20), range(20, 60), range(60, 61)):
            written(place, blobs, truth, tids)
        assert journals.compare(place, truth, False) == "whole"
        assert journals.told_of(place)[2] == []

    def test_what_was_asked_for_is_counted(self, place):
        with closing(open_journal(place)) as journal:
            journal.check(journals.IDENTITY)
            journal.submitted([(tid, codec.dumps(journals.document(tid))) for tid in (0, 1)], b"state")
            journal.submitted([(2, codec.dumps(journals.document(2)))], b"later", asked=True)
        with closing(open_journal(place)) as journal:
            journal.check(journals.IDENTITY)
            assert journal.asked() == 1
            assert journal.state().value == b"later"
            assert [entry.tid for entry in journal.take_entries()] == [0, 1, 2]

    def test_a_trial_that_was_cancelled_runs_again(self, place):
        with closing(open_journal(place)) as journal:
            journal.check(journals.IDENTITY)
            journal.submitted([(0, b"own")], b"state")
            journal.settled(journals.settled(0, Outcome.CANCELLED, None, "", None))
        with closing(open_journal(place)) as journal:
            journal.check(journals.IDENTITY)
            assert [entry.outcome for entry in journal.take_entries()] == [None]

    def test_what_lies_in_files_is_the_studys_to_read(self, place, blobs):
        file = blobs / "result"
        value = pickle.dumps(bytes(2_000_000))
        file.write_bytes(value)
        with closing(open_journal(place)) as journal:
            journal.check(journals.IDENTITY)
            journal.submitted([(0, b"own")], b"state")
            handed_on = journal.settled(journals.settled(0, Outcome.OK, Payload(file), "", None))
            assert handed_on.result.load() == bytes(2_000_000)
        for _ in range(2):
            with closing(open_journal(place)) as journal:
                journal.check(journals.IDENTITY)
                (entry,) = journal.take_entries()
                assert entry.result.load() == bytes(2_000_000)


class TestRefusal:
    def test_another_search(self, place, blobs):
        written(place, blobs, journals.Truth(), range(3))
        before = journals.listing(place.parent)
        for key in ("space", "objective", "algorithm"):
            theirs = dataclasses.replace(journals.IDENTITY, **{key: "another one"})
            with (
                closing(open_journal(place)) as journal,
                pytest.raises(RefusedError, match=rf"(?s)another {key}.*---.*\+another one"),
            ):
                journal.check(theirs)
        assert journals.listing(place.parent) == before

    def test_something_else(self, tmp_path):
        (tmp_path / "notes").mkdir()
        (tmp_path / "notes" / "mine.txt").write_text("mine")
        with pytest.raises(RefusedError, match=r"notes is not a journal, but holds other files \(mine.txt\)"):
            open_journal(tmp_path / "notes")

    def test_no_directory(self, tmp_path):
        with pytest.raises(RefusedError, match="there is no directory"):
            open_journal(f"file://{tmp_path}/no/journal")


@pytest.fixture(scope="module")
def log(tmp_path_factory):
    """A log of many segments, one with a snapshot, and the truth."""
    directory = tmp_path_factory.mktemp("logs")
    truths = {}
    for name, snapshot in (("segments", 1000), ("snapshots", 13)):
        truths[name] = truth = journals.Truth()
        blobs = directory / f"{name}-blobs"
        blobs.mkdir()
        for first in (0, 30):
            store = DirectoryStore(directory / name)
            journal = SegmentJournal(store, directory / name, Pace(large=5000, snapshot=snapshot))
            journal.check(journals.IDENTITY)
            for tid in range(first, first + 30):
                journals.write(journal, truth, [tid], blobs)
                journal.until_kept()
            journal.close()
    return directory, truths


class TestDamage:
    """Seeds are in what a failure says."""

    def strike(self, log, seed, scratch):
        directory, truths = log
        chance = random.Random(seed)
        name = chance.choice(sorted(truths))
        path = journal_kinds.copied(directory / name, scratch)
        how = journal_kinds.damage(path, chance)
        try:
            became = journals.compare(path, truths[name], False)
            if became != "refused":
                entries, _, told = journals.told_of(path)
                assert all(" are gone from " in each for each in told), told
                assert all(codec.loads(each.own) == truths[name].entries[each.tid][0] for each in entries)
        except BaseException as error:
            error.args = (f"seed {seed}, {name}: {how}", *error.args)
            raise
        return became

    def test_a_log_that_is_not_damaged_is_whole(self, log, tmp_path):
        directory, truths = log
        for name, truth in truths.items():
            path = journal_kinds.copied(directory / name, tmp_path / "copy")
            assert journals.compare(path, truth, False) == "whole"
        assert journal_kinds.objects(directory / "segments")["segment"] == 62
        counts = journal_kinds.objects(directory / "snapshots")
        assert counts["snapshot"] == 1
        assert counts["segment"] < 13

    def test_damage_at_random(self, log, tmp_path):
        became = [self.strike(log, seed, tmp_path / "copy") for seed in QUICK]
        assert {"whole", "some run again", "some lost"} <= {*became}
        assert became.count("refused") < len(QUICK) / 10

    @pytest.mark.slow
    @pytest.mark.parametrize("first", range(0, 1000, HUNDRED))
    def test_damage_at_random_a_thousand_times(self, log, tmp_path, first):
        became = [self.strike(log, seed, tmp_path / "copy") for seed in range(first, first + HUNDRED)]
        assert became.count("refused") < HUNDRED / 10

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("segment", ("some run again", "some lost")),
            ("snapshot", ("refused",)),
            ("closed", ("whole",)),
            ("epoch", ("whole",)),
        ],
    )
    def test_an_object_that_was_removed(self, log, tmp_path, kind, expected):
        directory, truths = log
        path = journal_kinds.copied(directory / "snapshots", tmp_path / "copy")
        sorted(path.glob(f"{kind}-*"))[-1].unlink()
        became = journals.compare(path, truths["snapshots"], kind == "closed")
        assert became in expected

    def test_a_segment_of_another_journal(self, log, tmp_path):
        directory, truths = log
        path = journal_kinds.copied(directory / "segments", tmp_path / "copy")
        mine = sorted(path.glob("segment-*"))[20]
        other = tmp_path / "other"
        other.mkdir()
        blobs = tmp_path / "other-blobs"
        blobs.mkdir()
        with closing(open_journal(other)) as journal:
            journal.check(journals.IDENTITY)
            journals.write(journal, journals.Truth(), [9], blobs)
            journal.until_kept()
        mine.write_bytes(sorted(other.glob("segment-*"))[-1].read_bytes())
        assert journals.compare(path, truths["segments"], False) == "some lost"


class TestKills:
    @pytest.mark.parametrize("torn", [None, 100])
    def test_after_every_put(self, tmp_path, torn):
        puts = 0
        while True:
            path = tmp_path / f"journal-{puts}"
            path.mkdir()
            blobs = tmp_path / f"blobs-{puts}"
            blobs.mkdir()
            store = journal_kinds.MortalStore(DirectoryStore(path), puts, torn)
            truth, kept = journals.Truth(), 0
            journal = SegmentJournal(store, path, Pace(flush=1000.0, snapshot=4, large=8000))
            try:
                journal.check(journals.IDENTITY)
                for tid in range(6):
                    journals.write(journal, truth, [tid], blobs)
                    journal.until_kept()
                    kept = tid + 1
            except (journal_kinds.KilledError, JournalError):
                pass
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                journal.close()
            entries, _, told = journals.told_of(path)
            assert told == []
            assert sum(entry.outcome is not None for entry in entries) >= kept
            if kept == 6 and store.left >= 0:
                assert puts > 12
                return
            puts += 1


class TestSize:
    @pytest.mark.slow
    def test_ten_thousand_trials_are_read_in_seconds(self, tmp_path):
        path = tmp_path / "journal"
        path.mkdir()
        pace = Pace(flush=1000.0, segment=20_000, snapshot=64)
        with closing(SegmentJournal(DirectoryStore(path), path, pace)) as journal:
            journal.check(journals.IDENTITY)
            for tid in range(10_000):
                journal.submitted([(tid, codec.dumps(journals.document(tid)))], b"s" * 200)
                journal.started(Started(tid, 1, 1000.0, 0.0))
                journal.settled(journals.settled(tid, Outcome.OK, Payload(journals.result_of(1)), "", None))
                if tid % 50 == 0:
                    journal.until_kept()
        counts = journal_kinds.objects(path)
        assert counts["snapshot"] == 1
        assert counts["segment"] <= 2 * 64
        began = time.process_time()
        with closing(open_journal(path)) as journal:
            journal.check(journals.IDENTITY)
            assert len(journal.take_entries()) == 10_000
        assert time.process_time() - began < 10
