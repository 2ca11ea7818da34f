"""Format of an objective that comes with modules.

    magic, length of the header, header (JSON), archive (zip), pickle

The header has the digests of the modules by name, the reasons why other modules were left out, and the size
and the digest of the archive. An objective that needs no modules is its pickle alone. One member of the
archive maps its source files to the driver's paths, for tracebacks.
"""

from __future__ import annotations

import functools
import hashlib
import io
import json
import struct
import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final

if TYPE_CHECKING:
    from sparkopt.wire.modules.own_modules import OwnModules
    from sparkopt.wire.modules.package_files import PackageContent

_MAGIC: Final = b"sparkopt objective with modules 1\n"
_LENGTH: Final = struct.Struct("!I")
SOURCES: Final = "sparkopt-sources.json"
"""Member of the archive: the driver's paths of source files by their names in it."""


@dataclass(frozen=True, slots=True)
class ArchiveHeader:
    """Header that comes before an archive.

    Attributes:
        digests: of the modules, by name.
        withheld: reasons why modules were left out, by their names.
        digest: of the archive; empty if there is none.
        size: of the archive in bytes.
    """

    digests: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    digest: str = ""
    size: int = 0


def packed(pickle: bytes, modules: OwnModules) -> bytes:
    """Returns an objective's pickle, preceded by the modules that it imports."""
    if not modules.contents and not modules.withheld:
        return pickle
    archive = _archive(tuple(modules.contents.values())) if modules.contents else b""
    digests = {name: content.digest for name, content in modules.contents.items()}
    # The archive itself has the time in it, so its own digest would differ each time.
    whole = hashlib.sha256(json.dumps(digests, sort_keys=True).encode()).hexdigest() if digests else ""
    said = json.dumps(asdict(ArchiveHeader(digests, modules.withheld, whole, len(archive)))).encode()
    return b"".join((_MAGIC, _LENGTH.pack(len(said)), said, archive, pickle))


def read_header(stream: BinaryIO) -> ArchiveHeader:
    """Read the header of an objective, and leave the stream where its archive begins.

    Returns:
        The header. If the stream holds a pickle alone, it is an empty one, and the stream is at its
        beginning.
    """
    if stream.read(len(_MAGIC)) != _MAGIC:
        stream.seek(0)
        return ArchiveHeader()
    (length,) = _LENGTH.unpack(stream.read(_LENGTH.size))
    return ArchiveHeader(**json.loads(stream.read(length)))


def digests_in(file: Path) -> Mapping[str, str]:
    """Digests of the modules that come with the objective in a file; none if the file is gone."""
    try:
        with file.open("rb") as stream:
            return read_header(stream).digests
    except OSError:  # the evaluator fails the trial for it
        return {}


def extract(stream: BinaryIO, header: ArchiveHeader, directory: Path) -> None:
    """Write the files of the archive that begins where the stream is into a directory.

    Raises:
        OSError: if the disk does not take them.
    """
    with zipfile.ZipFile(io.BytesIO(stream.read(header.size))) as archive:
        archive.extractall(directory)


@functools.lru_cache(maxsize=1)
def _archive(contents: tuple[PackageContent, ...]) -> bytes:
    """Pack packages; the last archive is kept, as the next search usually sends the same."""
    sources: dict[str, str] = {}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for content in contents:
            for file, data in content.files:
                archive.writestr(file.name, data)
                if file.is_source:
                    sources[file.name] = str(file.path)
        archive.writestr(SOURCES, json.dumps(sources))
    return buffer.getvalue()
