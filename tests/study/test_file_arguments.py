"""Files that a search writes: refused files stay untouched; locks and permissions of the others."""

from __future__ import annotations

import os
import pickle
import resource
import shutil
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
from hyperopt import base

from sparkopt import fmin
from sparkopt.errors import JournalWarning, RefusedError
from sparkopt.hyperopt import savefile
from sparkopt.study.journal import Identity, Journal
from tests.study import journals
from tests.support.processes import started
from tests.support.study_tools import CASE, in_order


class TestOthers:
    """files that are not a journal: refused, and not one byte of them or beside them changes."""

    def refused(self, path, match):
        before = journals.listing(path.parent)
        with pytest.raises(RefusedError, match=match):
            Journal(path)
        assert journals.listing(path.parent) == before

    def database(self, path, mode):
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"pragma journal_mode = {mode}")
            database.execute("create table trials (tid integer primary key, document blob)")
            database.execute("insert into trials values (1, x'00')")
            database.commit()

    @pytest.mark.parametrize("mode", ["delete", "wal"])
    def test_another_programs_database(self, tmp_path, mode):
        self.database(tmp_path / "history", mode)
        self.refused(tmp_path / "history", "history is another program's SQLite database: name another file")

    def test_one_that_is_open(self, tmp_path):
        self.database(tmp_path / "history", "wal")
        with closing(sqlite3.connect(tmp_path / "history")) as database:
            database.execute("insert into trials values (2, x'01')")
            database.commit()
            self.refused(tmp_path / "history", "another program's SQLite database")

    def test_mlflows(self, tmp_path, empty_store):
        shutil.copyfile(empty_store, tmp_path / "mlflow.db")
        self.refused(tmp_path / "mlflow.db", "another program's SQLite database")

    @pytest.mark.parametrize(
        "content", [b"my notes", b"\0", b"\0" * 70000, b"SQLite format 3\0", b"\xff" * 5000]
    )
    def test_no_database_at_all(self, tmp_path, content):
        (tmp_path / "notes").write_bytes(content)
        self.refused(tmp_path / "notes", "notes is (not a journal|another program's)")

    def test_a_journal_of_another_search_stays_as_it_is(self, killed):
        path, _ = killed
        before = journals.listing(path.parent)
        other = Identity("another space", journals.IDENTITY.objective, journals.IDENTITY.algorithm)
        with closing(Journal(path)) as journal, pytest.raises(RefusedError, match="another space"):
            journal.check(other)
        assert journals.listing(path.parent) == before


class TestArguments:
    @pytest.mark.parametrize(
        ("given", "match"),
        [
            ("", "empty path"),
            ("  ", "empty path"),
            (b"journal", "must be (a path, or an address|the path of a file).*bytes"),
            (7, "must be (a path, or an address|the path of a file).*int"),
            (True, "must be (a path, or an address|the path of a file).*bool"),
            (["journal"], "must be (a path, or an address|the path of a file).*list"),
            (":memory:", "would be gone"),
            ("file:journal?mode=memory", "is a URI|is not an address: write file:///journal"),
            ("dbfs:/journal", "is a URI|is not an address: write /dbfs/journal"),
            ("a\0b", "null character"),
            ("~/journal", r"give os\.path\.expanduser"),
            ("/", "is the root of the file system|names a directory"),
        ],
    )
    def test_what_is_no_path(self, new_trials, given, match):
        with pytest.raises(RefusedError, match=f"(?s)^journal .*{match}"):
            new_trials(journal=given)
        if given == "":
            return  # as hyperopt has it: none
        with pytest.raises(RefusedError, match=f"(?s)^trials_save_file .*{match}"):
            self.save(new_trials, given)

    def save(self, new_trials, path):
        trials = new_trials(parallelism=1)
        fmin(lambda case: case, CASE, in_order, 1, trials=trials, trials_save_file=path, verbose=False)

    @pytest.mark.parametrize(
        ("make", "match"),
        [
            (lambda path: path.mkdir(), "is a directory"),
            (os.mkfifo, "is a named pipe"),
            (lambda path: path.symlink_to(path.parent / "nowhere"), "symbolic link that leads nowhere"),
            (lambda path: path.symlink_to(path), "symbolic link that leads nowhere|cannot be used"),
            (lambda path: path.symlink_to("/dev/null"), "is a device"),
            (lambda path: path.symlink_to("/dev/full"), "is a device"),
        ],
    )
    def test_what_is_no_file(self, new_trials, tmp_path, make, match):
        path = tmp_path / "place"
        make(path)
        with pytest.raises(RefusedError, match=f"^journal {path} .*({match})"):
            Journal(path)
        with pytest.raises(RefusedError, match=f"^trials_save_file {path} .*({match})"):
            self.save(new_trials, path)
        assert [each.name for each in tmp_path.iterdir()] == ["place"]

    def test_a_socket(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with socket.socket(socket.AF_UNIX) as own:
            own.bind("place")
            with pytest.raises(RefusedError, match=r"^journal place is a socket"):
                Journal("place")

    @pytest.mark.parametrize(
        ("place", "match"),
        [
            ("no/journal", "there is no directory"),
            ("file/journal", "is not a directory|Not a directory"),
            ("n" * 300, "too long"),
        ],
    )
    def test_where_no_file_can_be(self, new_trials, tmp_path, place, match):
        (tmp_path / "file").touch()
        with pytest.raises(RefusedError, match=f"^journal .*({match})"):
            Journal(tmp_path / place)
        with pytest.raises(RefusedError, match=f"^trials_save_file .*({match})"):
            self.save(new_trials, tmp_path / place)

    def test_where_nobody_may_write(self):
        with pytest.raises(RefusedError, match=r"^journal /proc/journal cannot be written"):
            Journal("/proc/journal")

    def test_a_link_to_a_file_is_followed(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "journal").symlink_to(tmp_path / "real" / "journal")
        (tmp_path / "real" / "journal").touch()
        with (
            closing(Journal(tmp_path / "journal")) as journal,
            pytest.warns(JournalWarning, match="is empty"),
        ):
            journal.check(journals.IDENTITY)
        assert (tmp_path / "journal").is_symlink()
        assert (tmp_path / "real" / "journal").stat().st_size > 0


class TestHold:
    def test_another_of_this_process(self, tmp_path):
        path = tmp_path / "journal"
        (tmp_path / "link").symlink_to(path)
        with closing(Journal(path)) as journal:
            journal.check(journals.IDENTITY)
            for way in (path, tmp_path / "link"):
                with pytest.raises(
                    RefusedError, match=rf"in use by another search .*process {os.getpid()} on"
                ):
                    Journal(way)
        Journal(path).close()
        assert {each.name for each in tmp_path.iterdir()} == {"journal", "link"}

    def test_another_process(self, tmp_path):
        path = tmp_path / "journal"
        script = (
            "import sys; from sparkopt.study.journal import Journal; Journal(sys.argv[1]);"
            "print(1, flush=True); input()"
        )
        command = [sys.executable, "-c", script, str(path)]
        with started(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
            assert other.stdout.readline() == b"1\n"
            with pytest.raises(RefusedError, match=rf"in use by another search \(process {other.pid} on"):
                Journal(path)
            other.kill()
        with closing(Journal(path)) as journal:  # what is left of the other does not hold it
            journal.check(journals.IDENTITY)
        assert [each.name for each in tmp_path.iterdir()] == ["journal"]

    def test_another_program(self, closed):
        path, _ = closed
        with closing(sqlite3.connect(path, isolation_level=None)) as database:
            database.execute("pragma locking_mode = exclusive")
            database.execute("begin exclusive")
            with (
                closing(Journal(path)) as journal,
                pytest.raises(RefusedError, match="in use by another program"),
            ):
                journal.check(journals.IDENTITY)


class TestOwner:
    """Nobody but their owner can read them, whatever the umask says."""

    @pytest.fixture(autouse=True)
    def everybody(self):
        before = os.umask(0)
        yield
        os.umask(before)

    def others(self, directory):
        return [path for path in directory.rglob("*") if path.stat().st_mode & 0o077]

    def test_a_new_one(self, tmp_path):
        directory = tmp_path / "new"
        directory.mkdir(0o755)
        blobs = tmp_path / "blobs"
        blobs.mkdir()
        with closing(Journal(directory / "journal")) as journal:
            journal.check(journals.IDENTITY)
            journals.write(journal, journals.Truth(), range(20), blobs)
            assert {path.name for path in directory.iterdir()} == {
                *("journal", "journal-wal", "journal-lock", "journal-files")
            }
            # What lies in there has come as it was: the directory keeps others out.
            assert self.others(directory) == [*(directory / "journal-files").iterdir()]

    def test_those_that_were_there(self, killed):
        path, _ = killed
        for each in (path, journals.log_of(path), path.with_name("journal-files")):
            each.chmod(0o777)
        with closing(Journal(path)) as journal:
            journal.check(journals.IDENTITY)
            blobs = path.parent / "blobs"
            blobs.mkdir(0o700)
            journals.write(journal, journals.Truth(), range(60, 70), blobs)
        assert [each for each in self.others(path.parent) if each.parent == path.parent] == []

    def test_those_that_are_damaged(self, killed):
        path, truth = killed
        path.chmod(0o666)
        path.write_bytes(path.read_bytes()[:-5000])
        journals.compare(path, truth, False)
        assert path.with_name("journal.damaged-1").exists()
        assert [each for each in self.others(path.parent) if each.suffix] == []

    def test_a_save_file(self, tmp_path):
        path = tmp_path / "trials"
        savefile.SaveFile(path, base.Trials()).save()
        assert self.others(tmp_path) == []


class TestBeside:
    """Other files under the names of a journal's own files: errors name them, and nothing touches them."""

    @pytest.mark.parametrize("suffix", ["-wal", "-shm", "-lock"])
    @pytest.mark.parametrize("kind", ["pipe", "directory", "link", "dangling"])
    def test_no_file(self, closed, suffix, kind):
        path, _ = closed
        beside = path.with_name(path.name + suffix)
        precious = path.with_name("precious")
        precious.write_bytes(b"precious")
        precious.chmod(0o644)
        match kind:
            case "pipe":
                os.mkfifo(beside)
            case "directory":
                beside.mkdir()
            case "link":
                beside.symlink_to(precious)
            case "dangling":
                beside.symlink_to(path.with_name("nowhere"))
        before = journals.listing(path.parent)
        with pytest.raises(RefusedError, match=rf"beside the journal .* is {beside.name}, a .*move it away"):
            Journal(path)
        assert journals.listing(path.parent) == before
        assert not path.with_name("nowhere").exists()

    def test_a_file_where_results_are_kept(self, tmp_path):
        (tmp_path / "journal-files").write_bytes(b"precious")
        with pytest.raises(RefusedError, match="journal-files, a file, where the journal has a directory"):
            Journal(tmp_path / "journal")

    @pytest.mark.parametrize("kind", ["pipe", "directory"])
    def test_no_file_in_the_place_of_a_result(self, closed, kind):
        path, truth = closed
        result = path.with_name(f"{path.name}-files") / "result-7"
        result.unlink()
        os.mkfifo(result) if kind == "pipe" else result.mkdir()
        assert journals.compare(path, truth, False) == "some run again"


class TestNames:
    def test_one_with_no_room_for_those_beside_it(self, tmp_path):
        for length in (255, 250, 240):
            with pytest.raises(RefusedError, match="too long a name: 235 bytes are possible"):
                Journal(tmp_path / ("n" * length))
        assert list(tmp_path.iterdir()) == []
        Journal(tmp_path / ("n" * 235)).close()

    def test_two_names_of_one_journal(self, closed):
        path, _ = closed
        other = path.with_name("other")
        other.hardlink_to(path)
        held = Journal(path)
        try:
            with pytest.raises(RefusedError, match="in use by another search of this process"):
                Journal(other)
        finally:
            held.close()
        Journal(other).close()


@pytest.mark.parametrize("left", ["gone", "empty"])
def test_a_log_without_its_journal(killed, left):
    path, _ = killed
    path.unlink() if left == "gone" else path.write_bytes(b"")
    journals.log_of(path).write_bytes(b"\0" * 5000)
    with pytest.raises(RefusedError, match=f"and beside it lies {path.name}-wal.*put the journal back"):
        Journal(path)


def test_a_disk_without_room_for_the_lock(tmp_path):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, before[1]))
    try:
        with pytest.raises(RefusedError, match="journal-lock: File too large"):
            Journal(tmp_path / "journal")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert list(tmp_path.iterdir()) == []


class TestSaved:
    """Files that trials_save_file may overwrite."""

    @pytest.mark.parametrize("content", [b"my thesis", b"SQLite format 3\0", pickle.dumps({"my": "model"})])
    def test_something_else(self, new_trials, tmp_path, content):
        path = tmp_path / "file"
        path.write_bytes(content)
        with pytest.raises(RefusedError, match=r"trials_save_file .*file holds something else than"):
            fmin(float, CASE, in_order, 1, trials=new_trials(), trials_save_file=path, verbose=False)
        assert path.read_bytes() == content

    @pytest.mark.parametrize("name", ["journal", "journal-lock", "journal-wal", "journal-files/result-0"])
    def test_the_journal(self, new_trials, tmp_path, name):
        (tmp_path / "journal-files").mkdir()
        with pytest.raises(RefusedError, match=r"trials_save_file .* is the journal, or a file that"):
            fmin(
                float,
                CASE,
                in_order,
                1,
                trials=new_trials(journal=tmp_path / "journal"),
                trials_save_file=tmp_path / name,
                verbose=False,
            )
        assert [path.name for path in tmp_path.iterdir()] == ["journal-files"]
