"""Names of the top-level modules that a pickle, a function's code or a source file imports."""

from __future__ import annotations

import ast
import dis
import functools
import re
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any, Final

_CALLS: Final = frozenset({"import_module", "__import__"})
"""Functions that import the module that their first argument names."""

_LOOSELY: Final = re.compile(
    r"\bfrom[ \t]+(\.*)(\w*)[\w.]*[ \t]+import\b[^\n]*"
    r"|\bimport[ \t]+([^\n#;(]+)"
    r"""|(?:import_module|__import__)\(\s*["'](\w+)"""
)

_KEPT: Final = 4096
"""So many files' imports are kept for the next search, which mostly sends the same files."""

_PARSING: Final = threading.Lock()
"""Held by the search that parses: in Python 3.11 threads that parse at the same time disturb one another."""


class ModuleNames:
    """Modules that a worker imports when it unpickles something, and runs it.

    Attributes:
        found: the names of the top-level modules.
    """

    def __init__(self) -> None:
        self.found: set[str] = set()

    def note(self, value: object) -> None:
        """Note what an object that is being pickled needs.

        A class or function is pickled by its module's name, or else has code, which may import.
        """
        if isinstance(value, types.CodeType):
            self.found.update(imports_of_code(value))
        elif isinstance(value, types.ModuleType):
            self._add(value.__name__)
        else:
            try:
                self._add(getattr(value, "__module__", None))
            except Exception:  # noqa: BLE001 - an attribute of the user's own may raise anything
                return
            if isinstance(value, types.FunctionType):
                # Of a script that runs as a module of a package (python -m), for its relative imports.
                self._add(value.__globals__.get("__package__"))

    def _add(self, name: object) -> None:
        if isinstance(name, str) and name:
            self.found.add(name.partition(".")[0])


def imports_of_code(code: types.CodeType) -> Iterator[str]:
    """Yield the top-level modules that a function's code imports, without those of functions inside it."""
    if _CALLS & {*code.co_names}:
        texts = (each for each in code.co_consts if isinstance(each, str))
        yield from (top for each in texts if (top := each.partition(".")[0]).isidentifier())
    for step in dis.get_instructions(code):
        if step.opname == "IMPORT_NAME" and step.argval:
            yield step.argval.partition(".")[0]


def imports_of_source(source: str, is_wanted: Callable[[str], bool]) -> set[str]:
    """Return the top-level modules that a file imports, anywhere in it, and that somebody wants.

    Most files import nothing that is wanted. A search for what looks like an import finds that out in a tenth
    of the time that parsing takes.

    Args:
        source: the file's text.
        is_wanted: tells of a name whether it is.
    """
    candidates = {name for name in _loose_imports(source) if is_wanted(name)}
    if not candidates:
        return candidates
    try:
        return candidates & _parsed_imports(source)
    except SystemError:  # somebody else has parsed at the same time; a module too many does no harm
        return candidates


@functools.lru_cache(maxsize=_KEPT)
def _parsed_imports(source: str) -> frozenset[str]:
    try:
        with _PARSING:
            tree = ast.parse(source)
    except (SyntaxError, ValueError):  # a template, or of another Python: nothing imports it
        return frozenset()
    return frozenset(name for node in ast.walk(tree) for name in _imports_of_node(node))


@functools.lru_cache(maxsize=_KEPT)
def _loose_imports(source: str) -> frozenset[str]:
    found: set[str] = set()
    for dots, start, names, called in _LOOSELY.findall(source.replace("\\\n", " ")):
        found.add(called or ("" if dots else start))
        found.update(each.strip().partition(" ")[0].partition(".")[0] for each in names.split(","))
    return frozenset(name for name in found if name.isidentifier())


def _imports_of_node(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if node.module and not node.level:
            yield node.module.partition(".")[0]
    elif isinstance(node, ast.Call) and node.args:
        function: Any = node.func
        first = node.args[0]
        if (
            getattr(function, "attr", getattr(function, "id", "")) in _CALLS
            and isinstance(first, ast.Constant)
            and isinstance(first.value, str)
        ):
            yield first.value.partition(".")[0]
