"""Stores of objects that PyArrow's file systems reach: S3, GCS, Azure, HDFS; others through fsspec.

Differences between releases of PyArrow are here and nowhere else.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from typing import IO, Any, Final
from urllib.parse import parse_qsl

from sparkopt.errors import RefusedError
from sparkopt.study.journal.segments.object_format import LARGE

_PIECE: Final = 2**20

_DELAYED: Final = "allow_delayed_open"
"""Parameter of S3 addresses, by which a small object is put by one request instead of three."""

_SPARKS_S3: Final = ("s3a", "s3n")
"""Names that Spark has for S3."""


def _less_persistent(filesystem: Any, address: str) -> Any:
    """Returns a file system that tries less often.

    One of an address's tries eleven times to reach an S3 that does not answer, for 100 seconds, and the
    process cannot end before. Those that were pickled, or made otherwise, try three times.
    """
    if filesystem.type_name != "s3":
        return filesystem
    make, arguments = filesystem.__reduce__()
    asked = {name for name, _ in parse_qsl(address.partition("?")[2])}
    # Releases differ in what a pickle has. It must have all that the address says.
    known = isinstance(arguments[0], dict) and asked <= arguments[0].keys()
    return make(*arguments) if known else filesystem


class ArrowStore:
    """A directory, or a prefix, of a file system of PyArrow's.

    Args:
        filesystem: a ``pyarrow.fs.FileSystem``.
        base: path of the directory in it.
        forget_listings: has the file system forget what it has listed, if it remembers that.
    """

    def __init__(
        self, filesystem: Any, base: str, forget_listings: Callable[[], object] = lambda: None
    ) -> None:
        self._filesystem = filesystem
        self._base = base.rstrip("/")
        self._forget_listings = forget_listings

    @classmethod
    def of(cls, address: str, hide: Callable[[str], str] = str) -> ArrowStore:
        """Returns the store of an address.

        Args:
            address: such as ``s3://bucket/prefix?region=eu-west-1``.
            hide: takes its secrets out of a message.

        Raises:
            RefusedError: if no library that is installed knows such an address.
        """
        from pyarrow import fs

        scheme, _, rest = address.partition("://")
        scheme = scheme.lower()
        address = f"{'s3' if scheme in _SPARKS_S3 else scheme}://{rest}"
        tries = [address]
        if address.startswith("s3:") and _DELAYED not in address:
            tries.insert(0, f"{address}{'&' if '?' in address else '?'}{_DELAYED}=true")
        said = ""
        for each in tries:
            try:
                filesystem, base = fs.FileSystem.from_uri(each)
            except (ValueError, OSError) as error:  # ArrowInvalid is a ValueError
                said = str(error)
            else:
                return cls(_less_persistent(filesystem, each), base)
        try:
            import fsspec
        except ImportError:
            fsspec = None
        if fsspec is not None and scheme in {*fsspec.available_protocols(), *fsspec.registry}:
            try:
                found, base = fsspec.core.url_to_fs(address)
            except (ImportError, ValueError, OSError) as error:
                said = str(error)
            else:
                return cls(fs.PyFileSystem(fs.FSSpecHandler(found)), base, found.invalidate_cache)
        more = "" if fsspec is not None else ", and fsspec, which knows more of them, is not installed"
        raise RefusedError(
            f"journal {hide(address)}: PyArrow cannot open such an address ({hide(said)}){more}"
        )

    def prepare(self) -> None:
        """Make the directory, where there are directories."""
        # Where there are none, PyArrow would put an empty object of that name.
        if self._filesystem.type_name not in ("s3", "gcs", "abfs"):
            self._filesystem.create_dir(self._path(LARGE.rstrip("/")), recursive=True)

    def _path(self, name: str) -> str:
        return f"{self._base}/{name}"

    def put(self, name: str, pieces: Iterable[bytes]) -> None:
        """Write an object."""
        with self._filesystem.open_output_stream(self._path(name), compression=None) as stream:
            for piece in pieces:
                stream.write(piece)

    def get(self, name: str) -> bytes | None:
        """Read an object."""
        try:
            with self._filesystem.open_input_stream(self._path(name), compression=None) as stream:
                return bytes(stream.read())
        except FileNotFoundError:
            return None

    def fetch(self, name: str, target: IO[bytes]) -> bool:
        """Copy an object to a file."""
        try:
            with self._filesystem.open_input_stream(self._path(name), compression=None) as stream:
                while piece := stream.read(_PIECE):
                    target.write(piece)
        except FileNotFoundError:
            return False
        return True

    def list(self) -> Sequence[str]:
        """The names of the objects."""
        return self._names(self._base)

    def list_large(self) -> Sequence[str]:
        """The names of the large objects."""
        return self._names(self._path(LARGE.rstrip("/")))

    def _names(self, directory: str) -> Sequence[str]:
        from pyarrow import fs

        self._forget_listings()
        selector = fs.FileSelector(directory, allow_not_found=True)
        found = self._filesystem.get_file_info(selector)
        return [info.base_name for info in found if info.type is not fs.FileType.Directory and info.base_name]

    def delete(self, name: str) -> None:
        """Remove an object."""
        with contextlib.suppress(FileNotFoundError):
            self._filesystem.delete_file(self._path(name))
