"""The user's own modules that an objective imports: which are found, and what of them goes along."""

from __future__ import annotations

import importlib
import io
import os
import sys
import venv
from functools import partial
from importlib.machinery import EXTENSION_SUFFIXES

import cloudpickle
import pytest

from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.wire.modules import own_modules
from sparkopt.wire.modules.imported_names import ModuleNames, imports_of_code, imports_of_source
from sparkopt.wire.modules.objective_archive import digests_in, extract, packed, read_header
from sparkopt.wire.modules.own_modules import OwnModules, check_ship_modules
from tests.support.projects import write_project


@pytest.fixture
def project(tmp_path, monkeypatch):
    """A directory on sys.path; called with the texts of files, by their paths."""
    before = {*sys.modules}
    monkeypatch.syspath_prepend(str(tmp_path))
    yield partial(write_project, tmp_path)
    for name in {*sys.modules} - before:
        file = getattr(sys.modules[name], "__file__", None) or ""
        if file.startswith(str(tmp_path)):
            del sys.modules[name]


def sent(modules):
    return sorted(file.name for content in modules.contents.values() for file, _ in content.files)


def test_a_module_brings_what_it_imports_early_and_late_and_nothing_that_is_installed(project):
    project({
        "mo_train.py": "import os, mo_early as m\nimport numpy\n\ndef f():\n    from mo_late.deep import x\n",
        "mo_early.py": "import importlib\nimportlib.import_module('mo_by_text.part')\n",
        "mo_late/__init__.py": "from . import deep\n",
        "mo_late/deep.py": "from .. import nothing\n",
        "mo_by_text/part.py": "import mo_train, \\\n  mo_behind_a_break\n",
        "mo_behind_a_break.py": "",
        "mo_unused.py": "",
    })  # fmt: skip
    assert [*OwnModules(["mo_train", "numpy", "os"]).contents] == [
        "mo_train",
        "mo_early",
        "mo_late",
        "mo_by_text",
        "mo_behind_a_break",
    ]


def test_prose_that_reads_like_an_import_brings_nothing(project):
    project(
        {"mo_words.py": '"""Take it from mo_prose import it.\n\nimport mo_prose\n"""\n', "mo_prose.py": ""}
    )
    assert [*OwnModules(["mo_words"]).contents] == ["mo_words"]


def test_a_package_goes_whole_without_what_is_hidden_compiled_bytecode_or_an_environment(project, tmp_path):
    project({
        "mo_pack/__init__.py": "",
        "mo_pack/never_imported.py": "",
        "mo_pack/data/table.csv": "1,2",
        "mo_pack/.secret": "s",
        "mo_pack/.git/config": "c",
        "mo_pack/__pycache__/x.cpython-311.pyc": "p",
        "mo_pack/old.pyc": "p",
    })  # fmt: skip
    venv.create(tmp_path / "mo_pack" / "env", with_pip=False)
    (tmp_path / "mo_pack" / "round").symlink_to(tmp_path / "mo_pack")
    assert sent(OwnModules(["mo_pack"])) == [
        "mo_pack/__init__.py",
        "mo_pack/data/table.csv",
        "mo_pack/never_imported.py",
    ]


def test_a_namespace_package_goes_with_all_its_portions(project, tmp_path, monkeypatch):
    project({"one/mo_space/a.py": "", "two/mo_space/b.py": ""})
    for portion in ("one", "two"):
        monkeypatch.syspath_prepend(str(tmp_path / portion))
    assert sent(OwnModules(["mo_space"])) == ["mo_space/a.py", "mo_space/b.py"]


def test_a_directory_of_data_is_no_package(project):
    project({"mo_runs/latest/log.txt": "x"})
    modules = OwnModules(["mo_runs"])
    assert not modules.contents
    assert "no Python files" in modules.withheld["mo_runs"]


def test_an_editable_install_is_found_by_its_finder(project, tmp_path, monkeypatch):
    place = project({"src/mo_editable/__init__.py": ""}) / "src" / "mo_editable"

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name != "mo_editable":
                return None
            return importlib.util.spec_from_file_location(name, place / "__init__.py")

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])
    assert sent(OwnModules(["mo_editable"])) == ["mo_editable/__init__.py"]


@pytest.mark.parametrize("place", ["site-packages", "dist-packages"])
def test_what_is_installed_goes_only_if_it_is_named(project, monkeypatch, place):
    directory = project({f"{place}/mo_installed.py": ""}) / place
    monkeypatch.syspath_prepend(str(directory))
    modules = OwnModules(["mo_installed", "pyspark", "sparkopt", "py4j", "__main__", "no_such_module"])
    assert not modules.contents
    assert not modules.withheld
    assert [*OwnModules([], ["mo_installed"]).contents] == ["mo_installed"]


@pytest.mark.parametrize("suffix", [".so", EXTENSION_SUFFIXES[0]])
def test_compiled_code_is_refused_by_name(project, suffix):
    place = project({"mo_fast/__init__.py": "", f"mo_fast/inner/core{suffix}": ""})
    why = OwnModules(["mo_fast"]).withheld["mo_fast"]
    assert str(place / "mo_fast" / "inner" / f"core{suffix}") in why
    with pytest.raises(ArgumentValueError, match=r"mo_fast.*compiled code"):
        OwnModules([], ["mo_fast"])


def test_too_much_is_refused_with_the_biggest_files(project, monkeypatch):
    monkeypatch.setattr(own_modules, "LIMIT_BYTES", 1000)
    project({
        "mo_small.py": "import mo_big\n",
        "mo_big/__init__.py": "",
        "mo_big/weights.bin": "w" * 900,
        "mo_big/other.bin": "w" * 200,
    })  # fmt: skip
    modules = OwnModules(["mo_small"])
    assert [*modules.contents] == ["mo_small"]
    assert "biggest files" in modules.withheld["mo_big"]
    assert modules.withheld["mo_big"].index("weights.bin") < modules.withheld["mo_big"].index("other.bin")
    assert modules.size == len("import mo_big\n")


def test_a_name_of_the_standard_librarys_is_refused(project):
    project({"wave/__init__.py": ""})
    sys.modules.pop("wave", None)
    assert "standard library" in OwnModules(["wave"]).withheld["wave"]


@pytest.mark.parametrize(
    ("value", "error"),
    [
        ("mo_x", ArgumentTypeError),
        ([3], ArgumentTypeError),
        (7, ArgumentTypeError),
        (["a b"], ArgumentValueError),
    ],
)
def test_what_ship_modules_may_not_be(value, error):
    with pytest.raises(error, match="ship_modules must be True, False, or a list of names"):
        check_ship_modules(value)


def test_ship_modules_takes_top_level_names():
    assert check_ship_modules(["a.b", "c", "a"]) == ("a", "c")
    assert (check_ship_modules(True), check_ship_modules(False)) == (True, False)


@pytest.mark.parametrize("name", ["pyspark", "os", "no_such_module"])
def test_a_name_that_cannot_be_sent_is_refused(name):
    with pytest.raises(ArgumentValueError, match=f"ship_modules names '{name}'"):
        OwnModules([], [name])


def test_code_says_what_it_imports():
    def function():
        import mo_a.b
        from mo_c import d

        def inside():
            import mo_e

            return mo_e

        return mo_a, d, inside, importlib.import_module("mo_f.g")

    assert {*imports_of_code(function.__code__)} >= {"mo_a", "mo_c", "mo_f"}
    names = ModuleNames()

    class Noting(cloudpickle.Pickler):
        def reducer_override(self, obj):
            names.note(obj)
            return super().reducer_override(obj)

    Noting(io.BytesIO()).dump([function, os, io.StringIO])
    assert names.found >= {"mo_a", "mo_c", "mo_e", "mo_f", "os"}


def test_a_file_that_is_no_python_imports_nothing():
    assert imports_of_source("import mo_a\n{% if %}", lambda name: True) == set()


def test_an_archive_comes_out_as_it_went_in(project, tmp_path):
    project({"mo_pack/__init__.py": "x = 1\n", "mo_pack/data.bin": "\0\1"})
    modules = OwnModules(["mo_pack"])
    file = tmp_path / "objective"
    file.write_bytes(packed(b"pickle", modules))
    assert digests_in(file) == {"mo_pack": modules.contents["mo_pack"].digest}
    with file.open("rb") as stream:
        header = read_header(stream)
        extract(stream, header, tmp_path / "out")
        assert stream.read() == b"pickle"
    assert (tmp_path / "out" / "mo_pack" / "data.bin").read_text() == "\0\1"


def test_an_objective_without_modules_is_its_pickle(tmp_path):
    file = tmp_path / "objective"
    file.write_bytes(packed(b"\x80pickle", OwnModules([])))
    assert file.read_bytes() == b"\x80pickle"
    assert digests_in(file) == digests_in(tmp_path / "gone") == {}


def test_an_edit_is_another_version_of_its_package_alone(project):
    project({"mo_a.py": "1\n", "mo_b.py": "2\n"})
    first = OwnModules(["mo_a", "mo_b"]).contents
    project({"mo_b.py": "3\n"})
    second = OwnModules(["mo_a", "mo_b"]).contents
    assert first["mo_a"].digest == second["mo_a"].digest
    assert first["mo_b"].digest != second["mo_b"].digest
