"""The driver's own sparkopt, packed for executors that do not have it."""

from __future__ import annotations

import functools
import importlib.resources
import io
import zipfile
from types import CodeType
from typing import Final, NamedTuple

from sparkopt.spark import bootstrap

_LEVEL: Final = 6
"""How hard to compress: 0 to 9."""


class OwnPackage(NamedTuple):
    """The driver's sparkopt, ready to be sent.

    Attributes:
        bootstrap: code of :mod:`sparkopt.spark.bootstrap`, which an executor runs first. It is compiled here,
            as Spark wants the same Python on both sides.
        archive: the package, as a zip file.
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
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as packed:
            for name, data in files:
                packed.writestr(f"{bootstrap.PACKAGE}/{name}", data)
        source = home.joinpath("spark").joinpath("bootstrap.py").read_text(encoding="utf-8")
        code = compile(source, f"{bootstrap.PACKAGE}/spark/bootstrap.py", "exec", dont_inherit=True)
        return OwnPackage(code, stream.getvalue(), bootstrap.digest_of(files))
