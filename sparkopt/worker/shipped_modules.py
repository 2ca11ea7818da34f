"""The user's own modules in an evaluator: importable once the objective that needs them is being loaded.

    blob ──▶ a directory of the worker's, once for each content ──▶ at the end of sys.path
                                                                       │ import
    traceback ◀── the driver's file name ◀── code ◀── ShippedLoader ◀──┘

The directory is at the end of ``sys.path``, so that modules that the worker has by itself come first. It is a
real directory, so that processes that the objective starts find the modules too, and packages find their
data. Only the names of files in code, which tracebacks show, are the driver's.

An evaluator loads one version of a module: process A starts a fresh one where another version comes. What
Spark's Python process has imported before evaluators were forked is forgotten here, as it may be older.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
from collections.abc import Mapping
from functools import partial
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, BinaryIO

from sparkopt.errors import StorageError
from sparkopt.wire.modules.objective_archive import SOURCES, ArchiveHeader, extract, read_header

__wraps_objectives__ = True


class ShippedModules:
    """Modules that have come with objectives, in this process.

    Attributes:
        withheld: reasons why modules were left out, by name; each continues a sentence that begins with the
            name.

    Args:
        directory: of the worker.
    """

    def __init__(self, directory: Path) -> None:
        self.withheld: Mapping[str, str] = {}
        self._directory = directory
        self._versions: dict[str, str] = {}
        self._sources: dict[str, str] = {}
        self._roots: list[str] = []

    def take(self, stream: BinaryIO) -> None:
        """Take the modules of an objective in, and leave the stream at its pickle.

        Raises:
            StorageError: if the disk does not take them.
        """
        header = read_header(stream)
        self.withheld = header.withheld
        if not header.digest:
            return
        begin = stream.tell()
        place = self._directory / f"modules-{header.digest[:16]}"
        if not place.is_dir():
            try:
                self._extract(stream, header, place)
            except OSError as error:
                raise StorageError.of(error, "the modules of an objective", self._directory) from error
        stream.seek(begin + header.size)
        if str(place) not in self._roots:
            self._find_in(place)
        self._look_anew()
        fresh = {name for name, digest in header.digests.items() if self._versions.get(name) != digest}
        for name in [*sys.modules]:
            if name.partition(".")[0] in fresh:
                del sys.modules[name]
        self._versions.update(header.digests)

    def _extract(self, stream: BinaryIO, header: ArchiveHeader, place: Path) -> None:
        """Write the files; all of them, or none."""
        self._directory.mkdir(mode=0o700, exist_ok=True)  # an objective may have removed it
        unfinished = Path(tempfile.mkdtemp(dir=self._directory, prefix="extracting-"))
        try:
            extract(stream, header, unfinished)
            unfinished.rename(place)
        except BaseException:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise

    def _find_in(self, place: Path) -> None:
        """Have Python look for modules there, after all other places."""
        if not self._roots:
            sys.path_hooks.insert(0, self._finder)
        self._roots.append(str(place))
        names = json.loads((place / SOURCES).read_bytes())
        self._sources.update({str(place / name): source for name, source in names.items()})
        sys.path.append(str(place))

    def _look_anew(self) -> None:
        """Have Python look anew at the directories, one of which may have been removed and made again.

        All others stay: ``importlib.invalidate_caches`` has each package in a zip file read that whole file
        anew (Python before 3.12, gh-103200), and Spark's own packages are 17 in one file: 30 MiB in each
        evaluator, and a quarter of a second.
        """
        for path in [path for path in sys.path_importer_cache if self._is_ours(path)]:
            del sys.path_importer_cache[path]

    def _is_ours(self, path: str) -> bool:
        return any(path == root or path.startswith(root + os.sep) for root in self._roots)

    def _finder(self, path: str) -> FileFinder:
        """Find modules below one of the directories; a hook of ``sys.path_hooks``.

        Raises:
            ImportError: for every other directory.
        """
        if not self._is_ours(path):
            raise ImportError(path)
        return FileFinder(path, (partial(ShippedLoader, self._sources), SOURCE_SUFFIXES))  # type: ignore[arg-type]


class ShippedLoader(SourceFileLoader):
    """Loader of a module whose code is known by the driver's name of its file.

    Args:
        sources: the driver's names, by those here.
        fullname: of the module.
        path: of its file here.
    """

    def __init__(self, sources: Mapping[str, str], fullname: str, path: str) -> None:
        super().__init__(fullname, path)
        self._source = sources.get(path, path)

    def get_code(self, fullname: str) -> CodeType | None:
        """The module's code."""
        code: CodeType | None = super().get_code(fullname)
        return None if code is None else _renamed(code, self._source)


def _renamed(code: CodeType, name: str) -> CodeType:
    """Code, and that of the functions in it, under another file's name."""
    parts: tuple[Any, ...] = tuple(
        _renamed(part, name) if isinstance(part, CodeType) else part for part in code.co_consts
    )
    return code.replace(co_filename=name, co_consts=parts)
