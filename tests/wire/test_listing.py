"""List of a user's open pools: pools that are in it, that have left it, and that cannot get in."""

from __future__ import annotations

import multiprocessing
import os
import socket
import stat
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from sparkopt.wire import listing
from sparkopt.wire.listing import Listing, listed

ADDRESS = "127.0.0.1:7727"
SECONDS = 30.0

ELSEWHERE = """
import os, sys
from sparkopt.wire.listing import Listing
kept = Listing(sys.argv[1], "the-token", b"a certificate")
print("listed", flush=True)
sys.stdin.readline()
kept.remove()
"""


class Elsewhere:
    """A process that has a pool in the list."""

    def __init__(self, address=ADDRESS):
        command = [sys.executable, "-c", ELSEWHERE, address]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(os.environ)
        )
        assert self.process.stdout.readline() == "listed\n"

    def kill(self):
        self.process.kill()
        self._close()

    def end(self):
        self.process.stdin.write("\n")
        self._close()

    def _close(self):
        with self.process.stdin, self.process.stdout:
            pass
        self.process.wait(SECONDS)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A user's home, and a directory for temporary files of its own."""
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    home.mkdir()
    temporary.mkdir()
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setattr(tempfile, "tempdir", str(temporary))
    return home


@pytest.fixture
def fallback(tmp_path):
    return tmp_path / "temporary" / f"sparkopt-{os.geteuid()}"


@pytest.fixture
def directory(home):
    return home / ".sparkopt"


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if path.name != ".lock")


def test_what_is_open_is_listed_for_its_owner_only_until_it_is_removed(directory):
    before = os.umask(0)
    try:
        opened = Listing(ADDRESS, "the-token", b"a certificate")
    finally:
        os.umask(before)
    assert mode(directory) == 0o700
    assert {mode(path) for path in directory.iterdir()} == {0o600}
    (pool,) = listed()
    assert (pool.address, pool.host, pool.pid) == (ADDRESS, socket.gethostname(), os.getpid())
    assert pool.is_reachable
    assert pool.directory == str(Path.cwd())
    assert pool.token_file == directory / f"{ADDRESS}.token"
    assert pool.token_file.read_text() == "the-token\n"
    assert pool.ca_cert is not None
    assert pool.ca_cert.read_bytes() == b"a certificate"
    opened.remove()
    opened.remove()
    assert listed() == []
    assert names(directory) == []


def test_without_a_certificate_there_is_no_file_of_one(directory):
    opened = Listing(ADDRESS, "the-token", None)
    assert listed()[0].ca_cert is None
    assert names(directory) == [f"{ADDRESS}.json", f"{ADDRESS}.token"]
    opened.remove()


def test_nobody_has_opened_anything(directory):
    assert listed() == []
    assert not directory.exists()


def test_what_a_dead_process_has_left_is_not_listed_and_removed(directory):
    Elsewhere().kill()
    assert len(names(directory)) == 3
    assert listed() == []
    assert names(directory) == []


def test_a_new_pool_takes_the_place_of_a_dead_one(directory):
    Elsewhere().kill()
    opened = Listing(ADDRESS, "another-token", None)
    (pool,) = listed()
    assert (pool.pid, pool.ca_cert) == (os.getpid(), None)
    assert names(directory) == [f"{ADDRESS}.json", f"{ADDRESS}.token"]
    assert pool.token_file.read_text() == "another-token\n"
    opened.remove()


def test_a_pool_that_lives_is_not_overwritten_by_one_of_the_same_address(directory):
    # As in two containers with one home.
    first = Elsewhere()
    second = Listing(ADDRESS, "another-token", None)
    assert [pool.address for pool in listed()] == [ADDRESS, ADDRESS]
    assert [pool.token_file.read_text() for pool in listed()] == ["the-token\n", "another-token\n"]
    second.remove()
    assert [pool.token_file.read_text() for pool in listed()] == ["the-token\n"]
    first.end()
    assert names(directory) == []


def test_they_are_listed_in_the_order_in_which_they_were_opened(home):
    opened = [Listing(f"127.0.0.1:{port}", "the-token", None) for port in (3, 1, 2)]
    assert [pool.address for pool in listed()] == ["127.0.0.1:3", "127.0.0.1:1", "127.0.0.1:2"]
    for each in opened:
        each.remove()


def test_those_who_look_at_once_do_not_take_one_another_for_a_pool(directory):
    Elsewhere().kill()
    left = {directory / name: (directory / name).read_bytes() for name in names(directory)}
    with ThreadPoolExecutor(4) as lookers:
        for _ in range(50):
            for path, data in left.items():
                path.touch(0o600)
                path.write_bytes(data)
            assert list(lookers.map(lambda _: listed(), range(4))) == [[]] * 4
            assert names(directory) == []


def test_a_process_that_was_forked_off_removes_nothing(home):
    opened = Listing(ADDRESS, "the-token", None)
    child = multiprocessing.get_context("fork").Process(target=opened.remove)
    child.start()
    child.join(SECONDS)
    assert child.exitcode == 0
    assert [pool.address for pool in listed()] == [ADDRESS]
    opened.remove()
    assert listed() == []


def test_only_others_of_loopback_cannot_be_reached(home, monkeypatch):
    monkeypatch.setattr(socket, "gethostname", lambda: "another-machine")
    opened = [Listing(address, "the-token", None) for address in (ADDRESS, "10.0.0.5:7727", "[::1]:7727")]
    monkeypatch.undo()
    monkeypatch.setenv("HOME", str(home))
    assert [pool.address for pool in listed() if pool.is_reachable] == ["10.0.0.5:7727"]
    for each in opened:
        each.remove()


def test_a_directory_that_others_may_enter_is_closed_to_them(directory):
    directory.mkdir(mode=0o755)
    opened = Listing(ADDRESS, "the-token", None)
    assert mode(directory) == 0o700
    opened.remove()


def test_a_link_in_the_place_of_the_directory_is_not_followed(directory, fallback, tmp_path):
    (tmp_path / "target").mkdir(mode=0o700)
    directory.symlink_to(tmp_path / "target")
    opened = Listing(ADDRESS, "the-token", None)
    assert names(tmp_path / "target") == []
    assert listed()[0].token_file == fallback / f"{ADDRESS}.token"
    assert mode(fallback) == 0o700
    opened.remove()
    assert names(fallback) == []


@pytest.mark.parametrize("end", ["json", "token", "pem"])
def test_a_link_in_the_place_of_a_file_is_not_followed(directory, tmp_path, end):
    target = tmp_path / "target"
    target.write_text("the user's own")
    directory.mkdir(mode=0o700)
    (directory / f"{ADDRESS}.{end}").symlink_to(target)
    opened = Listing(ADDRESS, "the-token", b"a certificate")
    assert target.read_text() == "the user's own"
    (pool,) = listed()
    assert not pool.token_file.is_symlink()
    assert pool.token_file.read_text() == "the-token\n"
    opened.remove()
    assert listed() == []


@pytest.mark.parametrize("end", ["json", "token", "pem"])
def test_a_file_that_others_can_read_is_passed_over(directory, end):
    opened = Listing(ADDRESS, "the-token", b"a certificate")
    (directory / f"{ADDRESS}.{end}").chmod(0o640)
    assert listed() == []
    opened.remove()


def test_a_directory_of_another_user_is_not_used(directory, fallback, monkeypatch):
    directory.mkdir(mode=0o700)
    if os.geteuid() == 0:
        os.chown(directory, 65534, -1)
        opened = Listing(ADDRESS, "the-token", None)
        assert names(directory) == []
        assert listed()[0].token_file.parent == fallback
        opened.remove()
        os.chown(fallback, 65534, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 65534)
    with pytest.raises(OSError, match="belongs to user"):
        Listing(ADDRESS, "the-token", None)
    assert listed() == []


def test_another_users_home_is_no_place(home, directory, fallback, monkeypatch):
    if os.geteuid() != 0:
        pytest.skip("only root can give a home away")
    os.chown(home, 65534, -1)
    opened = Listing(ADDRESS, "the-token", None)
    assert not directory.exists()
    assert listed()[0].token_file.parent == fallback
    opened.remove()


def test_where_nothing_can_be_written_the_error_says_why(directory, fallback):
    directory.touch()
    fallback.touch()
    with pytest.raises(OSError, match="Not a directory") as caught:
        Listing(ADDRESS, "the-token", None)
    assert str(directory) in str(caught.value)
    assert str(fallback) in str(caught.value)


def test_a_disk_that_is_full_leaves_nothing(directory, fallback, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(listing, "_put", full)
    with pytest.raises(OSError, match="No space left"):
        Listing(ADDRESS, "the-token", None)
    assert names(directory) == []
    assert names(fallback) == []


@pytest.mark.parametrize("text", ["", "{", "[]", '{"address": "nowhere"}', "\xff"])
def test_a_file_that_makes_no_sense_is_passed_over(directory, text):
    opened = Listing(ADDRESS, "the-token", None)
    (directory / f"{ADDRESS}.json").write_text(text)  # still locked
    assert listed() == []
    opened.remove()
    assert names(directory) == []


def test_a_directory_that_is_gone_is_no_error(directory):
    opened = Listing(ADDRESS, "the-token", None)
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()
    opened.remove()
    assert listed() == []


def test_a_name_that_is_anothers_by_now_is_not_removed(directory):
    first = Listing(ADDRESS, "the-token", None)
    for path in directory.iterdir():  # by hand
        path.unlink()
    second = Listing(ADDRESS, "another-token", None)
    first.remove()
    assert [pool.token_file.read_text() for pool in listed()] == ["another-token\n"]
    second.remove()
