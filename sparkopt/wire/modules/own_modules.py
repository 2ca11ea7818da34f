"""OwnModules: the user's own top-level packages and modules that an objective imports.

Own is a module that Python finds here outside of the standard library and of every ``site-packages``: beside
the script or notebook, in a source tree that is on ``sys.path``, or in the tree of an editable install.

    names of the pickle ──▶ found? ──▶ its files ──▶ what they import ──┐
           ▲                                                            │
           └────────────────────────────────────────────────────────────┘

Whole top-level packages go: what a package imports late, and the data beside its modules, cannot be known.
"""

from __future__ import annotations

import importlib.util
import os
import sys
import sysconfig
from collections import deque
from collections.abc import Collection, Iterable
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Final

from sparkopt.errors import ArgumentTypeError, ArgumentValueError
from sparkopt.wire.arguments import refuse_type, shown
from sparkopt.wire.modules.imported_names import imports_of_source
from sparkopt.wire.modules.package_files import (
    NotSentError,
    PackageContent,
    biggest,
    files_of,
    in_mebibytes,
    read,
)

LIMIT_BYTES: Final = 64 * 2**20
"""So much may the modules of an objective take in all."""

_NEVER: Final = frozenset({"__main__", "__mp_main__", "py4j", "pyspark", "sparkopt"})
"""The main module goes by value; workers have the others."""

_INSTALLED: Final = frozenset({"site-packages", "dist-packages"})

_PLATFORMS: Final = ("/databricks/",)
"""Where platforms keep modules of their notebooks, which are the driver's alone."""

_EXPECTED: Final = "True, False, or a list of names of modules"


class OwnModules:
    """The modules that go to workers along with an objective.

    Attributes:
        contents: by name.
        withheld: reasons why other modules are not sent, by name; each continues a sentence that begins with
            the name.

    Args:
        names: of top-level modules that the objective imports.
        named: of those that the user wants to go along, wherever they are.

    Raises:
        ArgumentValueError: if one of the latter cannot go along.
    """

    def __init__(self, names: Iterable[str], named: Collection[str] = ()) -> None:
        self.contents: dict[str, PackageContent] = {}
        self.withheld: dict[str, str] = {}
        self._named = named
        self._places: dict[str, list[Path]] = {}
        self._elsewhere = _directories_of_others()
        self._left = LIMIT_BYTES
        self._waiting = deque(named)
        for name in named:
            if name in _NEVER:
                raise _cannot(name, "it never goes along")
            self._places[name] = places_of(name)
            if not self._places[name]:
                raise _cannot(name, f"Python finds no source of it here, in {sys.path}")
        self._work_off()
        for name in named:
            if name in self.withheld:
                raise _cannot(name, self.withheld[name])
        self._waiting.extend(sorted(name for name in names if self._is_own(name)))
        self._work_off()

    @property
    def size(self) -> int:
        """Bytes in all."""
        return LIMIT_BYTES - self._left

    def _work_off(self) -> None:
        while self._waiting:
            name = self._waiting.popleft()
            if name in self.contents or name in self.withheld:
                continue
            try:
                content = self._content(name)
            except NotSentError as error:
                self.withheld[name] = str(error)
                continue
            except OSError as error:
                self.withheld[name] = f"it cannot be read: {error}"
                continue
            self.contents[name] = content
            for file, data in content.files:
                if file.is_source:
                    text = data.decode(errors="replace")
                    self._waiting.extend(sorted(imports_of_source(text, self._is_new)))

    def _content(self, name: str) -> PackageContent:
        if name in sys.stdlib_module_names:
            raise NotSentError("workers import the standard library's module of that name: give it another")
        files = files_of(name, self._places[name])
        if name not in self._named and not any(file.is_source for file in files):
            raise NotSentError("it has no Python files")  # a directory of data that happens to be named so
        size = sum(file.size for file in files)
        if size > self._left:
            raise NotSentError(
                f"it takes {in_mebibytes(size)}, and the modules of an objective may take"
                f" {in_mebibytes(LIMIT_BYTES)} in all. Its biggest files are {biggest(files)}: have the"
                " objective read them from elsewhere, or install the package on the workers"
            )
        content = read(tuple(files))
        self._left -= content.size
        return content

    def _is_new(self, name: str) -> bool:
        return name not in self.contents and name not in self.withheld and self._is_own(name)

    def _is_own(self, name: str) -> bool:
        if name in _NEVER:
            return False
        if name not in self._places:
            self._places[name] = [each for each in places_of(name) if not self._is_elsewhere(each)]
        return bool(self._places[name])

    def _is_elsewhere(self, place: Path) -> bool:
        """Returns whether what is found there belongs to the Python installation or to the platform."""
        if not _INSTALLED.isdisjoint(place.parts):
            return True
        texts = (str(place), os.path.realpath(place))
        return any(text.startswith(self._elsewhere) for text in texts)


def check_ship_modules(value: object) -> bool | tuple[str, ...]:
    """Returns whether an objective's modules go along; names of more of them, if a list came.

    Raises:
        ArgumentTypeError: if it is something else.
        ArgumentValueError: if a name is none.
    """
    if value is True or value is False:
        return value
    if isinstance(value, str):
        refuse_type("ship_modules", value, _EXPECTED, f"give a list, as in [{value!r}]")
    if not isinstance(value, (list, tuple, set, frozenset)):
        refuse_type("ship_modules", value, _EXPECTED)
    for name in value:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"ship_modules must be {_EXPECTED}, and has {shown(name)}")
        if not all(part.isidentifier() for part in name.split(".")):
            raise ArgumentValueError(
                f"ship_modules must be {_EXPECTED}, and {name!r} is not a name that can be imported"
            )
    return tuple(dict.fromkeys(name.partition(".")[0] for name in value))


def places_of(name: str) -> list[Path]:
    """Directories or the file of a top-level module, as Python finds it here; none if it has no source."""
    spec = _spec(name)
    if spec is None:
        return []
    if spec.submodule_search_locations is not None:
        places = [Path(each).absolute() for each in spec.submodule_search_locations]
        return [place for place in places if place.is_dir()]
    origin = Path(spec.origin).absolute() if spec.has_location and spec.origin else None
    return [] if origin is None or not origin.is_file() else [origin]


def _spec(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    if module is not None:
        return getattr(module, "__spec__", None)
    try:
        return importlib.util.find_spec(name)
    except Exception:  # noqa: BLE001 - a finder may be anybody's
        return None


def _directories_of_others() -> tuple[str, ...]:
    """Beginnings of the paths of what the installation of Python or Spark has."""
    installed = [sysconfig.get_path(each) for each in ("stdlib", "platstdlib", "purelib", "platlib")]
    found = [*installed, os.environ.get("SPARK_HOME")]
    directories = {each for path in found if path for each in (path, os.path.realpath(path))}
    return (*(os.path.join(each, "") for each in directories), *_PLATFORMS)  # noqa: PTH118 - with its slash


def _cannot(name: str, why: str) -> ArgumentValueError:
    return ArgumentValueError(f"ship_modules names {name!r}, which cannot be sent to workers: {why}")
