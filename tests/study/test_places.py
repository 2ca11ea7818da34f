"""Places for journals: paths and addresses, what kind of journal they get, and what messages show of them."""

from __future__ import annotations

import pickle
from contextlib import closing
from pathlib import Path
from typing import ClassVar

import pytest

from sparkopt.errors import JournalError, RefusedError
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

    @pytest.mark.parametrize("is_there", [True, False])
    def test_a_path_with_a_slash_at_its_end(self, new_trials, tmp_path, is_there):
        place = f"{tmp_path}/my journal/"
        if is_there:
            Path(place).mkdir()
        assert new_trials(journal=place).journal == place
        assert self.kind(place) is SegmentJournal
        assert Path(place).is_dir()

    def test_a_file_is_no_directory(self, tmp_path):
        (tmp_path / "journal").touch()
        with pytest.raises(RefusedError, match="journal is a file: name a directory"):
            open_journal(f"{tmp_path}/journal/")

    def test_a_scheme_in_capitals(self, tmp_path):
        assert self.kind(f"FILE://{tmp_path}/journal") is SegmentJournal
        pytest.importorskip("pyarrow")
        assert self.kind(f"LOCAL://{tmp_path}/other") is SegmentJournal

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
        ("s3://bucket/run#1", "s3://bucket/run#1 holds a #.* write %23"),
        ("file:///tmp/run#1", "write %23"),
        ("file:///tmp/run?1", "write %3F"),
        ("s3://[bucket/a", r"s3://\[bucket/a is not an address"),
        ("s3://", "is not an address: write s3://bucket/searches/mine$"),
        ("s3:/bucket/a", "s3:/.* is not an address: write s3://bucket/a$"),
        ("s3:/key:secret@bucket/a", r"s3:/\.\.\. is not an address: write s3://\*\*\*@bucket/a$"),
        (Path("gs://bucket/a"), "write gs://bucket/a, as text: a Path leaves out one of the slashes"),
        ("file://", "write file:///path/to/a/directory$"),
        ("file:/tmp/a", "write file:///tmp/a$"),
        ("https://host/a", r"https://host/a is at a place that can be read only.*s3://bucket/searches/mine"),
        ("github://me:hidden@host/a", r"github://\*\*\*@host/a is at a place that can be read only"),
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
        ("s3://key:sec/ret+@bucket/mine", "s3://***@bucket/mine"),
        ("s3://key:secret@bucket/me@home", "s3://***@home"),
        ("s3://bucket/a:b@c", "s3://bucket/a:b@c"),
        (Path("/a/b"), "/a/b"),
    ],
)
def test_what_messages_show(place, expected):
    assert shown(place) == expected


def test_a_password_in_an_address_is_not_pickled_with_the_trials(new_trials):
    trials = new_trials(journal="s3://key:hidden@bucket/mine")
    assert b"hidden" not in pickle.dumps(trials)
    assert pickle.loads(pickle.dumps(new_trials(journal="s3://bucket/mine"))).journal == "s3://bucket/mine"


def test_what_libraries_say_of_an_address_is_shown_without_its_secrets():
    hide = places.hiding("nosuch://me:hid%2Fden@host/a?token=alsohidden&region=here")
    said = "cannot open nosuch://me:hid%2Fden@host/a?token=alsohidden&region=here: hid/den, alsohidden, here"
    assert hide(said) == "cannot open nosuch://***@host/a?token=***&region=here: ***, ***, here"
    for address in ("nosuch://me:hid/den@host/a", "s3://me:hid/den@host/a"):
        with pytest.raises(RefusedError, match=r"://\*\*\*@host/a: PyArrow cannot open") as caught:
            open_journal(address)
        assert "hid/den" not in str(caught.value)


def test_sparks_names_for_s3():
    pytest.importorskip("pyarrow")
    address = "s3a://me:hidden@bucket/a?region=us-east-1&scheme=http&endpoint_override=127.0.0.1:9"
    with pytest.raises(JournalError, match=r"s3a://\*\*\*@bucket/a"):
        open_journal(address)


def test_a_file_system_that_remembers_its_listings():
    """As fsspec's do: another driver would never be seen."""
    fsspec = pytest.importorskip("fsspec")
    from fsspec.implementations.memory import MemoryFileSystem

    class Remembering(MemoryFileSystem):
        protocol = "remembering"
        store: ClassVar = {}
        pseudo_dirs: ClassVar = [""]
        seen: ClassVar = {}

        def ls(self, path, detail=True, **more):
            return self.seen.setdefault((path, detail), super().ls(path, detail=detail, **more))

        def invalidate_cache(self, path=None):
            self.seen.clear()

    fsspec.register_implementation("remembering", Remembering, clobber=True)
    with closing(open_journal("remembering://searches/mine")) as earlier:
        earlier.check(journals.IDENTITY)
        earlier.watch(lambda: None, lambda error: None)
        with closing(open_journal("remembering://searches/mine")) as later:
            later.check(journals.IDENTITY)
            earlier.submitted([(0, b"own")], b"state")
            with pytest.raises(JournalError, match="taken over"):
                earlier.until_kept()
