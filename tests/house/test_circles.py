"""Circles of imports: none when the package runs, and none through two rooms in its types."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "sparkopt"


def name_of(path, package):
    parts = path.relative_to(package.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(package, types=False):
    """The modules that each module of a package imports when it runs, within functions too.

    Args:
        package: its directory.
        types: whether what is imported for types alone counts as well.
    """
    paths = {name_of(path, package): path for path in package.rglob("*.py")}
    found = {}
    for name, path in paths.items():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for_types = {
            id(inside)
            for node in ast.walk(tree)
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
            for inside in ast.walk(node)
        }
        imported = set()
        for node in ast.walk(tree):
            if id(node) in for_types and not types:
                continue
            if isinstance(node, ast.Import):
                imported |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                full = {f"{node.module}.{alias.name}" for alias in node.names}
                imported |= full & paths.keys() or {node.module}
        found[name] = imported & paths.keys() - {name}
    return found


def test_no_file_imports_what_imports_it():
    TopologicalSorter(imports_of(PACKAGE)).prepare()


def test_no_circle_goes_through_two_rooms_even_in_types():
    rooms = {}
    for name, imported in imports_of(PACKAGE, types=True).items():
        if name.count("."):  # the package itself names what is public
            rooms.setdefault(name.split(".")[1], set()).update(
                other.split(".")[1] for other in imported if other.count(".")
            )
    for room, others in rooms.items():
        others.discard(room)
    TopologicalSorter(rooms).prepare()


def test_a_circle_is_seen(tmp_path):
    package = tmp_path / "house"
    package.mkdir()
    (package / "one.py").write_text("from house.two import name\n")
    (package / "two.py").write_text("def name():\n    from house import one\n")
    (package / "three.py").write_text("if TYPE_CHECKING:\n    from house.one import more\n")
    assert imports_of(package) == {
        "house.one": {"house.two"},
        "house.two": {"house.one"},
        "house.three": set(),
    }
    assert imports_of(package, types=True)["house.three"] == {"house.one"}
    with pytest.raises(CycleError):
        TopologicalSorter(imports_of(package)).prepare()
