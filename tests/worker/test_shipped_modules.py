"""The user's own modules in a process of their own, as an evaluator takes them in."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sparkopt.wire.modules.objective_archive import packed
from sparkopt.wire.modules.own_modules import OwnModules
from tests.support.paths import python_path

SCRIPT = """
import io, multiprocessing, pickle, shutil, sys
from pathlib import Path

from sparkopt.worker.shipped_modules import ShippedModules

def in_child():
    import mo_shipped
    return mo_shipped.VALUE

if __name__ == "__main__":
    place, theirs, *files = map(Path, sys.argv[1:])
    sys.path.insert(0, str(theirs))
    import mo_shipped  # as Spark's Python process may have, before evaluators are forked
    modules = ShippedModules(place)
    said = []
    for file in files:
        with file.open("rb") as stream:
            modules.take(stream)
            assert stream.read() == b"pickle"
        (theirs / "mo_shipped.py").unlink(missing_ok=True)
        import mo_shipped, mo_twin, mo_space.ours, mo_space.theirs
        code = mo_shipped.function.__code__
        nested = next(each for each in code.co_consts if hasattr(each, "co_filename"))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            child = pool.apply(in_child)
        names = code.co_filename, nested.co_filename, mo_shipped.__file__
        said.append((mo_shipped.VALUE, mo_twin.VALUE, child, *names))
    said.append(sorted(path.name for path in place.iterdir()))
    print(repr(said))
"""


@pytest.fixture
def take(tmp_path, monkeypatch):
    """Has a process take in objectives in the order of their files, and returns what it finds then."""
    ours, theirs, place = (tmp_path / name for name in ("ours", "theirs", "place"))
    for directory in (ours / "mo_space", theirs / "mo_space", place):
        directory.mkdir(parents=True)
    (ours / "mo_twin.py").write_text("VALUE = 'ours'\n")
    (ours / "mo_shipped.py").write_text("VALUE = 'ours'\ndef function():\n    return lambda: 1\n")
    (ours / "mo_space" / "ours.py").write_text("")
    (theirs / "mo_twin.py").write_text("VALUE = 'theirs'\n")
    (theirs / "mo_shipped.py").write_text("VALUE = 'old'\n")
    (theirs / "mo_space" / "theirs.py").write_text("")
    monkeypatch.syspath_prepend(str(ours))

    def run(*names, script=SCRIPT):
        (tmp_path / "script.py").write_text(script)
        files = []
        for index, chosen in enumerate(names):
            files.append(tmp_path / f"objective-{index}")
            files[-1].write_bytes(packed(b"pickle", OwnModules(chosen)))
        done = subprocess.run(
            [sys.executable, str(tmp_path / "script.py"), *map(str, (place, theirs, *files))],
            env={"PYTHONPATH": python_path()},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        return ours, place, eval(done.stdout)

    return run


def test_modules_come_behind_what_is_there_and_anew_where_an_older_one_was_imported(take):
    ours, place, ((shipped, twin, child, named, nested, file), _) = take(
        ["mo_shipped", "mo_twin", "mo_space"]
    )
    assert (shipped, twin, child) == ("ours", "theirs", "ours")
    assert named == nested == str(ours / "mo_shipped.py")
    assert file.startswith(str(place / "modules-"))


ANEW = """
import sys, zipfile, zipimport
from pathlib import Path
from shutil import rmtree

from sparkopt.worker.shipped_modules import ShippedModules

place, theirs, file = map(Path, sys.argv[1:])
archive = place / "theirs.zip"
with zipfile.ZipFile(archive, "w") as packed:
    packed.writestr("mo_zipped.py", "")
sys.path.append(str(archive))
import mo_zipped

directory = zipimport._zip_directory_cache[str(archive)]
modules = ShippedModules(place)
for names in ["mo_shipped"], ["mo_shipped", "mo_twin"]:
    with file.open("rb") as stream:
        modules.take(stream)
    for name in names:
        __import__(name)
    for root in place.glob("modules-*"):
        rmtree(root)
    sys.modules.pop("mo_shipped")
print(zipimport._zip_directory_cache.get(str(archive)) is directory)
"""


def test_modules_that_were_removed_come_again_and_no_zip_file_is_read_anew(take):
    assert take(["mo_shipped", "mo_twin"], script=ANEW)[-1] is True


def test_another_objective_adds_its_modules(take):
    _, _, (first, second, directories) = take(
        ["mo_shipped", "mo_twin", "mo_space"],
        ["mo_space", "mo_twin"],
    )
    assert first == second
    assert len(directories) == 2
