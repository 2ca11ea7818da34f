"""The driver's own sparkopt, packed for executors that do not have it."""

from __future__ import annotations

import functools
import importlib.resources
import importlib.util
import io
import marshal
import zipfile
import zlib
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import CodeType
from typing import Any, Final, NamedTuple

from sparkopt.spark import bootstrap

_LEVEL: Final = 4
"""Level of compression, from 0 to 9. Level 6 would save 5 % and take twice the time."""

_LOADED: Final = (
    *("__init__.py", "core/__init__.py", "core/states.py", "errors.py", "wire/", "worker/"),
    *("hyperopt/__init__.py", "hyperopt/result_convention.py"),
    *("tracking/__init__.py", "tracking/relay_protocol.py", "tracking/trial/", "tracking/versions.py"),
)
"""Files and directories of the package that a worker loads modules from: itself, its objective, and what the
objective logs through."""

_UNCHECKED: Final = (1).to_bytes(4, "little")
"""Flags of a compiled module that Python does not compare with its source (PEP 552)."""


class OwnPackage(NamedTuple):
    """The driver's sparkopt, ready to be sent.

    Attributes:
        bootstrap: code of :mod:`sparkopt.spark.bootstrap`, which an executor runs first. It is compiled here,
            as Spark wants the same Python on both sides.
        archive: the package, as a zip file that is compressed as a whole: its members, which resemble each
            other, take a third less so. The modules that a worker loads are there compiled as well, if this
            Python keeps them compiled.
        digest: of its files.
    """

    bootstrap: CodeType
    archive: bytes
    digest: str


@functools.cache
def own_package() -> OwnPackage:
    """Pack the package that this process runs, wherever it was imported from."""
    home = importlib.resources.files(bootstrap.PACKAGE)
    files = bootstrap.files_of(home)
    with io.BytesIO() as stream:
        with zipfile.ZipFile(stream, "w") as packed:
            for name, data in files:
                packed.writestr(f"{bootstrap.PACKAGE}/{name}", data)
                if name.startswith(_LOADED) and (compiled := _compiled(home, name, data)):
                    packed.writestr(f"{bootstrap.PACKAGE}/{name}c", compiled)
        source = home.joinpath("spark").joinpath("bootstrap.py").read_text(encoding="utf-8")
        code = compile(source, f"{bootstrap.PACKAGE}/spark/bootstrap.py", "exec", dont_inherit=True)
        return OwnPackage(code, zlib.compress(stream.getvalue(), _LEVEL), bootstrap.digest_of(files))


def _compiled(home: Any, name: str, source: bytes) -> bytes:
    """Content of the ``.pyc`` file of a module, for a zip file.

    Empty if Python has not kept the module compiled: it would take the driver as long to compile all of them
    as it takes an executor.
    """
    if not isinstance(home, Path):  # the package is in a zip file itself
        return b""
    path = home / name
    if not Path(importlib.util.cache_from_source(path)).is_file():
        return b""
    module = ".".join((bootstrap.PACKAGE, *Path(name).with_suffix("").parts)).removesuffix(".__init__")
    code = SourceFileLoader(module, str(path)).get_code(module)
    return importlib.util.MAGIC_NUMBER + _UNCHECKED + importlib.util.source_hash(source) + marshal.dumps(code)
