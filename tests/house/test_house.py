"""What holds for the house as a whole: what an import loads, who may know what, and what no file may contain.

Who imports whom among the rooms is in pyproject.toml, [tool.importlinter].
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import sparkopt

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "sparkopt"
WRITTEN = sorted(path for path in PACKAGE.rglob("*.py") if not path.is_relative_to(PACKAGE / "wire" / "v1"))

# Names that rooms share by design: each room has its docstring there.
PARALLEL = {"__init__.py", "versions.py"}
"""Names that each room may have a file of: differences of versions live in one file a room."""

# Told apart from one another so that this file does not contain what it looks for.
INDEX_ADDRESS = re.compile(
    r"""\bindex[-_]url\b|\bfind[-_]links\b|(?:https?|file)://[^\s"']*/simple\b|python[h]osted"""
    r"""|"resolved":\s*"https?:"""
)
THINGS = (
    "action|address|choice|dictionary|directory|document|file|frame|host|journal|list|message|multiple|name"
    "|number|package|pickle|point|result|sampler|search|state|text|token|trial"
)
READ_TWICE = re.compile(
    rf"(?<!there )\b(?:is|are|was|were) no (?:{THINGS})s?\b"
    r"|\b(?:for|to|of|by|that|from) who (?:\w+ )*?\w+s\b"
    r"|^ +\w+: (?:whose|whom)\b"
    r"|\bany more (?:what|which|who)\b|\bof the moment\b|\bTell if\b|, but for\b",
    re.MULTILINE,
)
UNUSUAL = re.compile(r"(?:Of|How|That|What|Where|Whether|Which|Who)\b")
MACHINE_PATH = re.compile(r"(?<![\w.~-])/(?:root|work|home/\w+|Users/\w+)/")


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def loaded_by(module: str, suspects: list[str]) -> list[str]:
    """Which of the suspects a fresh interpreter has loaded after it imported a module."""
    script = f"import sys, {module}\nprint(*(name for name in {suspects!r} if name in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def test_the_workers_entry_loads_nothing_heavy_and_no_grpc():
    # It runs in Spark's own process, which forks, and which every launch waits for.
    heavy = ["hyperopt", "pyspark", "mlflow", "grpc", "scipy", "numpy", "pyarrow", "sparkopt.core.machine"]
    assert loaded_by("sparkopt.worker.task", heavy) == []


def test_the_package_alone_loads_nothing_heavy():
    assert loaded_by("sparkopt", ["hyperopt", "pyspark", "mlflow", "grpc"]) == []


def test_a_client_loads_grpc_and_protobuf_and_nothing_of_the_search_or_of_spark():
    # A scheduler elsewhere may have neither, and a shell's prompt waits for the command line's import.
    heavy = ["hyperopt", "pyspark", "mlflow", "numpy", "pandas", "cloudpickle", "cryptography", "rich"]
    assert loaded_by("sparkopt.client", heavy) == []
    assert loaded_by("sparkopt.cli", heavy[:-1]) == []


def test_a_module_that_is_loaded_is_seen():
    assert loaded_by("json", ["json", "grpc"]) == ["json"]


def test_the_public_names_are_what_there_is():
    assert len(set(sparkopt.__all__)) == len(sparkopt.__all__)
    for name in sparkopt.__all__:
        assert getattr(sparkopt, name) is not None, name
    assert {name for name in dir(sparkopt) if not name.startswith("_")} == {
        name for name in sparkopt.__all__ if not name.startswith("_")
    }


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="no_such_name") as raised:
        _ = sparkopt.no_such_name
    # So that Python asks whether SparkTrials was meant.
    assert (raised.value.name, raised.value.obj) == ("no_such_name", sparkopt)


def shared_names(paths):
    """Names that several of the files have, with their paths."""
    by_name = {}
    for path in paths:
        by_name.setdefault(path.name, []).append(str(path))
    return {name: found for name, found in by_name.items() if len(found) > 1 and name not in PARALLEL}


def test_no_two_files_share_a_name():
    assert shared_names(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py")) == {}


def test_two_files_of_one_name_are_recognised():
    names = ["a/__init__.py", "b/__init__.py", "a/records.py", "b/records.py", "a/b.py"]
    assert shared_names(map(Path, names)) == {"records.py": ["a/records.py", "b/records.py"]}


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_a_module_says_what_lives_in_it(path):
    assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), f"{path} has no docstring"


def unusual_docstrings(source):
    """Docstrings that begin with a question word or with "That" or "Of", as no usual sentence does."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, documented)]
    return [text for text in map(ast.get_docstring, nodes) if text and UNUSUAL.match(text)]


@pytest.mark.parametrize("path", WRITTEN, ids=name_of)
def test_docstrings_begin_with_a_noun_or_a_verb(path):
    found = unusual_docstrings(path.read_text(encoding="utf-8"))
    assert not found, f"say what it is or does, in the usual order of words: {found}"


def test_a_docstring_that_begins_otherwise_is_recognised():
    source = 'def f():\n    """Whether it is."""\n\nclass C:\n    """Who asks."""\n    """What is none."""\n'
    assert unusual_docstrings(source) == ["Whether it is.", "Who asks."]
    assert unusual_docstrings('"""Offers of a wheel."""\n') == []


def read_twice(text):
    """Wordings that readers stop at, in the order of their places."""
    return [match[0].strip() for match in READ_TWICE.finditer(text)]


def test_no_wording_has_to_be_read_twice():
    found = {
        name_of(path): said for path in WRITTEN if (said := read_twice(path.read_text(encoding="utf-8")))
    }
    assert found == {}, "say it in the usual order of words: 'is not a number', 'for clients that ask'"


def test_wordings_that_have_to_be_read_twice_are_recognised():
    for text in (
        "it is no number",
        "bytes that are no frame",
        "kept for who asks again",
        "    study: whose; None for all\n",
        "it cannot be read any more what it is of",
        "the stream of the moment",
        "all files, but for large ones",
    ):
        assert len(read_twice(text)) == 1, text
    for text in (
        "there is no number",
        "nobody that is no longer here",
        "how many, and for whom",
        "it is not a number",
    ):
        assert read_twice(text) == [], text


def test_the_core_knows_the_standard_library_only():
    foreign = set()
    for path in sorted((PACKAGE / "core").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            foreign |= {
                f"{path.name}: {name}"
                for name in names
                if name.split(".")[0] not in sys.stdlib_module_names and not name.startswith("sparkopt.core.")
            }
    assert foreign == set()


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (INDEX_ADDRESS, "pip install --extra-index" + "-url somewhere"),
        (INDEX_ADDRESS, "http:" + "//mirror.example/simple/"),
        (INDEX_ADDRESS, '"resolved"' + ': "https://registry.example/x.tgz"'),
        (MACHINE_PATH, "see /ro" + "ot/.cache"),
        (MACHINE_PATH, "/home" + "/ann/sparkopt"),
    ],
)
def test_what_no_file_may_contain_is_recognised(pattern, text):
    assert pattern.search(text)


def test_no_file_names_an_index_or_a_path_of_somebodys_machine():
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    )
    paths = [ROOT / name for name in listing.stdout.split("\0") if name and (ROOT / name).is_file()]
    assert ROOT / "pyproject.toml" in paths
    found = [
        f"{name_of(path)}:{number}: {line.strip()}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8", errors="replace").splitlines(), 1)
        if INDEX_ADDRESS.search(line) or MACHINE_PATH.search(line)
    ]
    assert found == []


def test_only_the_benchmarks_own_tests_import_benchmarks():
    strangers = [
        name_of(path)
        for path in sorted((ROOT / "tests").rglob("*.py"))
        if path.parent.name != "benchmarks"
        and re.search(r"^\s*(?:from|import) benchmarks\b", path.read_text(encoding="utf-8"), re.MULTILINE)
    ]
    assert strangers == []
