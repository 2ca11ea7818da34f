"""A directory that is packed is the same when it is unpacked elsewhere, whatever links are in it."""

from __future__ import annotations

import io
import os
import shutil

import pytest

from sparkopt.worker import directory_archives


@pytest.fixture
def source(tmp_path):
    """A directory to pack, with a file, and a directory with another one."""
    (tmp_path / "source" / "step-3").mkdir(parents=True)
    (tmp_path / "source" / "a").write_bytes(b"a")
    (tmp_path / "source" / "step-3" / "weights").write_bytes(b"w" * 1000)
    return tmp_path / "source"


@pytest.fixture
def elsewhere(tmp_path):
    """A directory that is not packed, as a cache of models is."""
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "blob").write_bytes(b"blob")
    return tmp_path / "elsewhere"


@pytest.fixture
def unpacked(source, elsewhere, tmp_path):
    """Packs the directory, and unpacks it where nothing else of it is left."""

    def unpacked():
        archive = io.BytesIO()
        directory_archives.pack(source, archive)
        shutil.rmtree(source)
        shutil.rmtree(elsewhere)
        (tmp_path / "target").mkdir()
        archive.seek(0)
        directory_archives.unpack(archive, tmp_path / "target")
        return tmp_path / "target"

    return unpacked


def test_files_have_their_bytes_and_permissions(source, unpacked):
    (source / "a").chmod(0o640)
    (source / "empty").mkdir()
    found = unpacked()
    assert (found / "a").read_bytes() == b"a"
    assert (found / "a").stat().st_mode & 0o777 == 0o640
    assert (found / "step-3" / "weights").read_bytes() == b"w" * 1000
    assert [*(found / "empty").iterdir()] == []


def test_links_within_it_are_links(source, unpacked):
    (source / "current").symlink_to("step-3")
    (source / "latest").symlink_to("current")
    (source / "step-3" / "beside").symlink_to("../a")
    (source / "absolute").symlink_to(source / "step-3")
    (source / "step-3" / "up").symlink_to(source / "a")
    (source / "itself").symlink_to(source)
    found = unpacked()
    links = {
        "current": "step-3",
        "latest": "current",
        "step-3/beside": "../a",
        "absolute": "step-3",
        "step-3/up": "../a",
        "itself": ".",
    }
    assert {name: str((found / name).readlink()) for name in links} == links
    assert (found / "latest" / "weights").read_bytes() == b"w" * 1000
    assert (found / "step-3" / "up").read_bytes() == b"a"


def test_of_links_that_leave_it_there_is_what_they_lead_to(source, elsewhere, unpacked):
    (elsewhere / "same").symlink_to("blob")
    (elsewhere / "back").symlink_to(source / "a")
    (source / "file").symlink_to("../elsewhere/blob")
    (source / "step-3" / "cache").symlink_to(elsewhere)
    found = unpacked()
    assert not (found / "file").is_symlink()
    assert (found / "file").read_bytes() == b"blob"
    cache = found / "step-3" / "cache"
    assert not cache.is_symlink()
    assert (cache / "blob").read_bytes() == b"blob"
    assert str((cache / "same").readlink()) == "blob"
    assert str((cache / "back").readlink()) == "../../a"
    assert (cache / "back").read_bytes() == b"a"


def test_circles_end(source, elsewhere, unpacked):
    (source / "out").symlink_to(elsewhere)
    (elsewhere / "around").symlink_to(elsewhere)
    (elsewhere / "home").symlink_to(source)
    (source / "ring").symlink_to("ring")
    found = unpacked()
    assert (found / "out" / "around" / "around" / "blob").read_bytes() == b"blob"
    assert (found / "out" / "home" / "a").read_bytes() == b"a"
    assert str((found / "ring").readlink()) == "ring"


def test_links_that_lead_nowhere_stay(source, unpacked):
    (source / "gone").symlink_to("/nowhere/at/all")
    (source / "missing").symlink_to("no-such-file")
    found = unpacked()
    assert str((found / "gone").readlink()) == "/nowhere/at/all"
    assert str((found / "missing").readlink()) == "no-such-file"


def test_files_with_two_names_count_once(source, elsewhere, unpacked):
    os.link(source / "step-3" / "weights", source / "second")
    (source / "a").unlink()
    (source / "outside").symlink_to(elsewhere / "blob")
    assert directory_archives.size_of(source) == 1000 + len(b"blob")
    found = unpacked()
    assert (found / "second").read_bytes() == b"w" * 1000
    assert (found / "second").samefile(found / "step-3" / "weights")


def test_it_may_be_named_by_a_link(source, tmp_path):
    (tmp_path / "latest").symlink_to(source)
    archive = io.BytesIO()
    directory_archives.pack(tmp_path / "latest", archive)
    archive.seek(0)
    directory_archives.unpack(archive, tmp_path / "target")
    assert (tmp_path / "target" / "a").read_bytes() == b"a"
