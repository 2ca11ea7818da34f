"""Places for journals: paths and addresses, what kind of journal they get, and what messages show of them."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path

import pytest

from sparkopt.errors import RefusedError
from sparkopt.study.journal import Journal, open_journal, places, shown
from sparkopt.study.journal.segments.segment_journal import SegmentJournal
from tests.study import journals

MOUNTS = """\
22 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw
40 22 0:40 / /dbfs rw,nosuid - fuse.goofys dbfs rw
41 22 0:41 / /mnt/with\\040space rw - nfs4 server:/export rw
42 41 0:42 / /mnt/with\\040space/local rw - xfs /dev/sdb1 rw
43 22 0:43 / /mnt/over rw - nfs4 server:/export rw
44 22 0:44 / /mnt/over rw - tmpfs tmpfs rw
""".splitlines()


@pytest.mark.parametrize(
    ("directory", "expected"),
    [
        ("/", "ext4"),
        ("/home/somebody", "ext4"),
        ("/dbfs", "fuse.goofys"),
        ("/dbfs/searches", "fuse.goofys"),
        ("/dbfsother", "ext4"),
        ("/mnt/with space/a/b", "nfs4"),
        ("/mnt/with space/local/a", "xfs"),
        ("/mnt/over/a", "tmpfs"),
    ],
)
def test_the_file_system_of_a_directory(directory, expected):
    assert places.file_system_of(Path(directory), MOUNTS) == expected


class TestKinds:
    def kind(self, place):
        with closing(open_journal(place)) as journal:
            journal.check(journals.IDENTITY)
            return type(journal)

    def test_a_path_on_a_local_disk(self, tmp_path):
        assert self.kind(tmp_path / "journal") is Journal
        assert self.kind(str(tmp_path / "journal")) is Journal

    def test_a_directory(self, tmp_path):
        (tmp_path / "journal").mkdir()
        assert self.kind(tmp_path / "journal") is SegmentJournal

    def test_a_path_on_a_network(self, tmp_path, monkeypatch):
        mounts = tmp_path / "mounts"
        mounts.write_text(f"1 1 0:1 / / rw - ext4 a rw\n2 1 0:2 / {tmp_path} rw - nfs4 a rw\n")
        monkeypatch.setattr(places, "_MOUNTS", mounts)
        assert self.kind(tmp_path / "journal") is SegmentJournal
        assert (tmp_path / "journal").is_dir()

    def test_a_file_of_sqlites_on_a_network_stays_one(self, tmp_path, monkeypatch):
        assert self.kind(tmp_path / "journal") is Journal
        monkeypatch.setattr(places, "_is_remote", lambda path: True)
        assert self.kind(tmp_path / "journal") is Journal

    def test_an_address_of_a_directory(self, tmp_path):
        assert self.kind(f"file://{tmp_path}/my%20journal") is SegmentJournal
        assert (tmp_path / "my journal").is_dir()

    def test_a_store_that_fsspec_knows(self):
        pytest.importorskip("fsspec")
        assert self.kind("memory://searches/mine") is SegmentJournal
        with closing(open_journal("memory://searches/mine")) as journal:
            journal.check(journals.IDENTITY)


@pytest.mark.parametrize(
    ("place", "match"),
    [
        ("s3://bucket", r"s3://bucket names a whole bucket"),
        ("s3://key:secret@bucket/", r"s3://\*\*\*@bucket/ names a whole bucket"),
        ("file:///", "must name a directory"),
        ("file://host/journal", "must name a directory of this machine"),
        ("s3://bucket/a\0b", "null character"),
    ],
)
def test_what_is_no_address(new_trials, place, match):
    with pytest.raises(RefusedError, match=f"(?s)^journal .*{match}"):
        new_trials(journal=place)


def test_an_address_that_no_library_knows():
    with pytest.raises(RefusedError, match="nosuch://host/path: PyArrow cannot open such an address"):
        open_journal("nosuch://host/path")


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        ("s3://bucket/mine", "s3://bucket/mine"),
        ("s3://key:secret@bucket/mine", "s3://***@bucket/mine"),
        ("s3://bucket/a?region=eu-west-1&secret_key=abc", "s3://bucket/a?region=eu-west-1&secret_key=***"),
        ("abfs://container@account.dfs/a", "abfs://container@account.dfs/a"),
        (Path("/a/b"), "/a/b"),
    ],
)
def test_what_messages_show(place, expected):
    assert shown(place) == expected


def test_a_password_in_an_address_is_not_pickled_with_the_trials(new_trials):
    trials = new_trials(journal="s3://key:hidden@bucket/mine")
    assert b"hidden" not in pickle.dumps(trials)
    assert pickle.loads(pickle.dumps(new_trials(journal="s3://bucket/mine"))).journal == "s3://bucket/mine"
